"""Bring in a model that was trained elsewhere.

    gpt import openai-community/gpt2                        # by its name on the Hugging Face hub
    gpt import my_llama --out runs/llama --context 1024     # a folder with config.json, model.safetensors and tokenizer.json
    gpt generate runs/llama --prompt "Once upon a time"     # and everything else that a run can do

GPT-2s are read, and models of the Llama family: Llama, Mistral, Qwen 2 and 3, SmolLM, OLMo 1 and 2. What a model asks for that
ours does not do is refused by name. The new folder is as a run's, with one checkpoint, of step 0.
"""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("import", "gpt_from_scratch.training.import_model:main")


import dataclasses
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gpt_from_scratch.models.checkpoints import checkpoint
from gpt_from_scratch.models.checkpoints.finding import CHECKPOINTS
from gpt_from_scratch.models.checkpoints.opening import OpenedModel, open_model
from gpt_from_scratch.models.interchange.hub import from_hub
from gpt_from_scratch.models.interchange.hugging_face import CARD_FILE
from gpt_from_scratch.support.command_line.arguments import settings
from gpt_from_scratch.support.command_line.invocation import gpt
from gpt_from_scratch.support.storage.files import ensure_folder, remove, rename, sync_folder
from gpt_from_scratch.support.visible import visible
from gpt_from_scratch.training.export import require_new

STEP = 0


@dataclass(frozen=True)
class ImportConfig:
    """What is brought in, and where to."""

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER_OR_NAME")]
    """a folder in Hugging Face's form, or a model's name on the hub"""
    out: Path | None = None
    """the new folder (default: runs/ and the model's name)"""
    context: int | None = None
    """keep a context of so many tokens (default: the model's own), to train it with less memory"""
    tokenizer: str | None = None
    """the tokenizer's file or folder, for a model that came without; "gpt2" is GPT-2's own"""

    def __post_init__(self) -> None:
        if self.context is not None and self.context < 1:
            raise ValueError(f"--context is {self.context}, expected at least 1 token")


def import_model(config: ImportConfig, warn: Callable[[str], None]) -> tuple[Path, OpenedModel]:
    """The new folder, which is there only when all of it is written, and the model.

    Raises:
        FileExistsError: `out` is a file, or a folder with something in it.
        FileNotFoundError, ValueError: no model there; one that is damaged or not supported; a context that it does not have.
    """
    is_folder = Path(config.source).exists()
    out = config.out or Path("runs") / (Path(config.source).resolve() if is_folder else Path(config.source)).name
    require_new(out)
    place = Path(config.source) if is_folder else from_hub(config.source, whole=True)
    tokenizer = config.tokenizer
    opened = open_model(place, device="cpu", tokenizer=tokenizer, warn=warn)
    model = opened.model.with_context(config.context or opened.context)
    card = place / CARD_FILE
    ensure_folder(out.absolute().parent)
    temporary = out.absolute().parent / f".{out.absolute().name}.{secrets.token_hex(4)}.tmp"
    folder = temporary / CHECKPOINTS / f"step-{STEP:08d}"
    try:
        ensure_folder(folder)
        checkpoint.write_tensors(folder, model.config, model.state_dict(), {})
        lack = checkpoint.complete(
            folder,
            STEP,
            opened.tokenizer,
            checkpoint.state_text({"step": STEP, "imported_from": opened.name if is_folder else config.source}),
            config=model.config,
            card=card.read_text(encoding="utf-8") if card.is_file() else None,
        )
        if lack is not None:
            warn(f"no tokenizer.json: {lack}")
        sync_folder(temporary)
        rename(temporary, out.absolute())
    finally:
        remove(temporary)
    return out, dataclasses.replace(opened, model=model)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, import, and say what came and how to use it."""

    def warn(message: str) -> None:
        print(visible(f"import: warning: {message}"), file=sys.stderr)

    out, opened = import_model(settings(ImportConfig, arguments, prog="gpt import", description=__doc__), warn)
    model = opened.model.config
    print(visible(str(out)))
    print(
        visible(
            f"  {opened.model.num_parameters():,} parameters, {model.n_layer} layers, a width of {model.n_embd}, a context of "
            f"{model.block_size:,} tokens; {opened.tokenizer!r}"
        )
    )
    print(visible(f'try: {gpt("generate", str(out))} --prompt "Once upon a time"'))
