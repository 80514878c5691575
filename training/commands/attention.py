"""Draw attention maps of a trained model.

    gpt attention runs/NAME --text "Tom had a red ball. Tom lost the ball."
    gpt attention runs/NAME --heads 0        # every head

One map for each of the heads with the clearest patterns: how much each token (rows) attends to each before it (columns).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gpt_from_scratch.support.command_line.arguments import a_text, settings
from gpt_from_scratch.support.command_line.command import imported
from gpt_from_scratch.support.command_line.settings import Many, check_settings


@dataclass(frozen=True)
class AttentionConfig:
    """Settings of `gpt attention`."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """a run's folder, one of its checkpoints, or a folder with a model and its tokenizer"""
    text: str = "In a house by the sea lived a brave girl named Emma. On a snowy Monday, Emma ran to the market."
    """the text that the model reads"""
    heads: Many = 4
    """number of heads to draw, those with the clearest patterns; 0: all"""
    out: Path = Path()
    """folder for attention.png (default: the current one)"""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.heads < 0:
            raise ValueError(f"heads is {self.heads}: it is 0 or more")
        a_text(self.text)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and draw."""
    config = settings(AttentionConfig, arguments, prog="gpt attention", description=__doc__)
    print(f"drew {imported('gpt attention', 'gpt_from_scratch.training.draw_attention:run')(config)}")
