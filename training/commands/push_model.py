"""Upload a model to the Hugging Face hub (or to $HF_ENDPOINT).

    export HF_TOKEN=…                                       # a token with write access
    gpt push runs/NAME you/name --licence mit --private

RUN is what `gpt export` takes, and the files are those that it writes. If a push is interrupted, give the same command
again: uploaded files are not sent twice, and the repository shows nothing until all files are there. A repository with
other content is refused.
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
    """Settings of `gpt push`."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """a run's folder, one of its checkpoints, or a folder with a model and its tokenizer"""
    name: Annotated[str, tyro.conf.Positional]
    """the repository on the hub, OWNER/NAME; it is created if it does not exist"""
    licence: str = UNKNOWN
    """the model's licence, for its card: one of the hub's identifiers, such as mit, apache-2.0 or cc-by-4.0"""
    private: bool = False
    """create the repository as private"""
    file_bytes: int = 500_000_000
    """maximum size of one weight file, in bytes; an interrupted push sends at most one file again"""

    def __post_init__(self) -> None:
        ExportConfig(self.source, licence=self.licence)
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.name, re.ASCII):
            raise ValueError(f"the repository is {self.name!r}, expected OWNER/NAME as on the hub")
        if self.file_bytes < 1:
            raise ValueError(f"--file-bytes is {self.file_bytes}, expected at least 1")


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, push, and print the repository's address."""

    def warn(message: str) -> None:
        print(visible(f"push: warning: {message}"), file=sys.stderr)

    config = settings(PushConfig, arguments, prog="gpt push", description=__doc__)
    push = imported("gpt push", "gpt_from_scratch.training.sharing.push_model:push")
    print(visible(push(config, warn, lambda message: print(visible(message), flush=True))))
