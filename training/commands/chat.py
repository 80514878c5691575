"""Chat with a trained model.

    gpt chat runs/NAME                                  # a run that was trained on conversations
    gpt chat runs/NAME --system "Answer in one word."   # with a system message
    gpt chat runs/NAME < questions.txt                  # one answer per line

The model's chat template formats the conversation; a model without one is refused. /new starts a new conversation, Ctrl-D
ends. Control characters in an answer are printed as escapes, since model output is untrusted.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gpt_from_scratch.models.settings import check_sampling
from gpt_from_scratch.support.command_line.arguments import settings
from gpt_from_scratch.support.command_line.command import imported
from gpt_from_scratch.support.command_line.settings import Many, check_settings
from gpt_from_scratch.support.visible import visible


@dataclass(frozen=True)
class ChatConfig:
    """Settings of `gpt chat`."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """a run's folder, one of its checkpoints, or a folder with a model and its tokenizer"""
    system: str | None = None
    """system message before the conversation"""
    max_tokens: Many = 300
    """maximum length of an answer, in tokens"""
    temperature: float = 0.7
    """divides the logits: 0 always takes the most likely token, 1 is the model's own distribution"""
    top_k: int | None = None
    """sample only from the k most likely tokens"""
    top_p: float | None = 0.95
    """sample from the smallest set of most likely tokens whose total probability reaches p"""
    seed: int = 0
    """random seed; the same seed gives the same answers"""
    ema: bool = False
    """use the moving average of the weights, from a run with --optimizer.ema-decay"""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """"auto" is the accelerator if there is one"""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.max_tokens < 1:
            raise ValueError(f"--max-tokens is {self.max_tokens}: at least 1 is needed")
        check_sampling(self.temperature, self.top_k, self.top_p)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and chat."""

    def warn(message: str) -> None:
        print(visible(f"chat: {message}"), file=sys.stderr)

    config = settings(ChatConfig, arguments, prog="gpt chat", description=__doc__)
    imported("gpt chat", "gpt_from_scratch.training.chat:run")(config, warn)
