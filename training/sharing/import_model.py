"""The work of `gpt import`: convert a Hugging Face model to a run's folder."""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("import", "gpt_from_scratch.training.commands.import_model:main")


import dataclasses
import secrets
from collections.abc import Callable
from pathlib import Path

from gpt_from_scratch.models.checkpoints import checkpoint
from gpt_from_scratch.models.checkpoints.finding import CHECKPOINTS
from gpt_from_scratch.models.checkpoints.opening import OpenedModel, open_model
from gpt_from_scratch.models.interchange.hub import from_hub
from gpt_from_scratch.models.interchange.hugging_face import CARD_FILE
from gpt_from_scratch.support.storage.files import ensure_folder, remove, rename, sync_folder
from gpt_from_scratch.training.commands.import_model import ImportConfig as ImportConfig
from gpt_from_scratch.training.sharing.export import require_new

STEP = 0


def import_model(config: ImportConfig, warn: Callable[[str], None]) -> tuple[Path, OpenedModel]:
    """Import a model into a new folder, which appears only when it is complete. Returns the folder and the model.

    Raises:
        FileExistsError: `out` is a file, or a folder that is not empty.
        FileNotFoundError, ValueError: there is no model, it is damaged or not supported, or its context is shorter.
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
