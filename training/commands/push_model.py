"""Put a model on the Hugging Face hub (or on $HF_ENDPOINT).

    export HF_TOKEN=…                                       # a token that may write
    gpt push runs/NAME you/name --licence mit --private

RUN is what `gpt export` takes, and what it would write is sent. A push that breaks is gone on with by the same command: files
that have arrived are not sent again, and nothing is seen in the repository before all of them have. A repository that holds
anything but a model of ours is never written into.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gpt_from_scratch.support.command_line.arguments import settings
from gpt_from_scratch.support.command_line.command import imported
from gpt_from_scratch.support.visible import visible
from gpt_from_scratch.training.commands.export import ExportConfig
from gpt_from_scratch.training.report.licence import UNKNOWN


@dataclass(frozen=True)
class PushConfig:
    """What is sent, and where to."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """a run's folder, one of its checkpoints, or a folder with a model and its tokenizer"""
    name: Annotated[str, tyro.conf.Positional]
    """the repository on the hub, OWNER/NAME; it is made where there is none"""
    licence: str = UNKNOWN
    """of the model, for its card: an identifier of the hub such as mit, apache-2.0 or cc-by-4.0"""
    private: bool = False
    """make a new repository that only its owner sees"""
    file_bytes: int = 500_000_000
    """the most that one file of weights has: of a push that breaks, so much is sent again"""

    def __post_init__(self) -> None:
        ExportConfig(self.source, licence=self.licence)
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.name, re.ASCII):
            raise ValueError(f"the repository is {self.name!r}, expected OWNER/NAME as on the hub")
        if self.file_bytes < 1:
            raise ValueError(f"--file-bytes is {self.file_bytes}, expected at least 1")


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, push, and say where it is."""

    def warn(message: str) -> None:
        print(visible(f"push: warning: {message}"), file=sys.stderr)

    config = settings(PushConfig, arguments, prog="gpt push", description=__doc__)
    push = imported("gpt push", "gpt_from_scratch.training.sharing.push_model:push")
    print(visible(push(config, warn, lambda message: print(visible(message), flush=True))))
