"""Draw where each head of a trained model looks.

    gpt attention runs/NAME --text "Tom had a red ball. Tom lost the ball."

One square a head, a layer a row: how much each token (down) takes from each token before it (across).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gpt_from_scratch.support.command_line.arguments import settings
from gpt_from_scratch.support.command_line.command import imported


@dataclass(frozen=True)
class AttentionConfig:
    """What is looked at."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """a run's folder, one of its checkpoints, or a folder with a model and its tokenizer"""
    text: str = "In a house by the sea lived a brave girl named Emma. On a snowy Monday, Emma ran to the market."
    """what the model reads"""
    out: Path = Path()
    """folder that gets attention.png (default: this one)"""


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and draw."""
    config = settings(AttentionConfig, arguments, prog="gpt attention", description=__doc__)
    print(f"drew {imported('gpt attention', 'gpt_from_scratch.training.draw_attention:run')(config)}")
