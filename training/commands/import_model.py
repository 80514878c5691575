"""Import a model from the Hugging Face hub or from a folder.

    gpt import openai-community/gpt2                        # by its name on the Hugging Face hub
    gpt import my_llama --out runs/llama --context 1024     # a folder with config.json, model.safetensors and tokenizer.json
    gpt generate runs/llama --prompt "Once upon a time"     # and all other commands that take a run

Supported are GPT-2 and the Llama family: Llama, Mistral, Qwen 2 and 3, SmolLM, OLMo 1 and 2. A feature that our model
lacks is an error, which names it. The new folder is a run's folder with one checkpoint, of step 0.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gpt_from_scratch.support.command_line.arguments import settings
from gpt_from_scratch.support.command_line.command import imported
from gpt_from_scratch.support.command_line.invocation import gpt
from gpt_from_scratch.support.visible import visible


@dataclass(frozen=True)
class ImportConfig:
    """Settings of `gpt import`."""

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER_OR_NAME")]
    """a folder in Hugging Face's format, or a model's name on the hub"""
    out: Path | None = None
    """the new folder (default: runs/ and the model's name)"""
    context: int | None = None
    """shorten the context to this many tokens (default: the model's own), to train with less memory"""
    tokenizer: str | None = None
    """the tokenizer's file or folder, for a model without one; "gpt2" is GPT-2's own"""

    def __post_init__(self) -> None:
        if self.context is not None and self.context < 1:
            raise ValueError(f"--context is {self.context}, expected at least 1 token")


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, import the model, and print its size and an example command."""

    def warn(message: str) -> None:
        print(visible(f"import: warning: {message}"), file=sys.stderr)

    config = settings(ImportConfig, arguments, prog="gpt import", description=__doc__)
    out, opened = imported("gpt import", "gpt_from_scratch.training.sharing.import_model:import_model")(config, warn)
    model = opened.model.config
    print(visible(str(out)))
    print(
        visible(
            f"  {opened.model.num_parameters():,} parameters, {model.n_layer} layers, a width of {model.n_embd}, a context of "
            f"{model.block_size:,} tokens; {opened.tokenizer!r}"
        )
    )
    print(visible(f'try: {gpt("generate", out)} --prompt "Once upon a time"'))
