"""Export a trained model for other programs.

    gpt export runs/NAME                                    # a folder that transformers opens without this package
    gpt export runs/NAME --licence mit --out my_model       # with a licence in its model card
    gpt export runs/NAME --to tiktoken                      # its tokenizer, for tiktoken
    gpt export runs/NAME --to gguf --precision q8_0         # one file for llama.cpp: GPT-2s and Llama-likes

RUN is a run (its newest complete checkpoint is used), a checkpoint, or a model's folder. A checkpoint is first verified
against its manifest. --out is a new or empty folder.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from gpt_from_scratch.models.settings import Precision
from gpt_from_scratch.support.command_line.arguments import settings
from gpt_from_scratch.support.command_line.command import imported
from gpt_from_scratch.support.visible import visible
from gpt_from_scratch.tokenizer.formats.described import about_formats
from gpt_from_scratch.training.report.licence import LICENCE, UNKNOWN

MODEL_FORMS = {
    "hugging-face": "weights, tokenizer and model card; also a Python file for an architecture that transformers lacks",
    "gguf": "an exact GPT-2, Llama, Qwen 2 or 3 or OLMo 2 as one file for llama.cpp",
}
FORMS = {**{name: f"the tokenizer alone, as {about}" for name, about in about_formats().items()}, **MODEL_FORMS}
"""The formats of an export: those of tokenizers, and those of whole models."""
if TYPE_CHECKING:
    Form = str
else:
    Form = Literal[tuple(FORMS)]


@dataclass(frozen=True)
class ExportConfig:
    """Settings of `gpt export`."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """a run's folder, one of its checkpoints, or a folder with a model and its tokenizer"""
    to: Annotated[Form, tyro.conf.arg(help="; ".join(f"{name}: {about}" for name, about in FORMS.items()))] = (
        "hugging-face"
    )
    out: Path | None = None
    """the new folder (default: named after the model and the format, in the current folder)"""
    ema: bool = False
    """use the moving average of the weights, from a run with --optimizer.ema-decay"""
    licence: str = UNKNOWN
    """the model's licence, for its card: one of the hub's identifiers, such as mit, apache-2.0 or cc-by-4.0"""

    precision: Precision = "f32"
    """with --to gguf, precision of the weights: unchanged, or quantized to 8 or 4 bits"""

    def __post_init__(self) -> None:
        if self.precision != "f32" and self.to != "gguf":
            raise ValueError(f"--precision {self.precision} is for --to gguf, not for {self.to}")
        if not LICENCE.fullmatch(self.licence):
            raise ValueError(f"--licence is {self.licence!r}, expected an identifier such as mit or apache-2.0")


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, export, and print the files."""

    def warn(message: str) -> None:
        print(visible(f"export: warning: {message}"), file=sys.stderr)

    config = settings(ExportConfig, arguments, prog="gpt export", description=__doc__)
    out: Path = imported("gpt export", "gpt_from_scratch.training.sharing.export:export")(config, warn)
    print(visible(str(out)))
    for path in sorted(out.iterdir()):
        print(visible(f"  {path.name:<28} {path.stat().st_size:>13,} bytes"))
    if (out / "README.md").exists():
        print(visible(f"{out / 'README.md'} says how to open it"))
