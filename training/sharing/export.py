"""The work of `gpt export`: write a trained model for other programs."""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("export", "gpt_from_scratch.training.commands.export:main")


import secrets
from collections.abc import Callable
from pathlib import Path

from gpt_from_scratch.models.checkpoints.checkpoint import MODEL_FOLDER, step_of
from gpt_from_scratch.models.checkpoints.finding import CHECKPOINTS
from gpt_from_scratch.models.checkpoints.opening import OpenedModel, open_model
from gpt_from_scratch.models.interchange import hugging_face
from gpt_from_scratch.models.interchange.gguf_file import GGUF_FILE, write_gguf
from gpt_from_scratch.support.storage.files import ensure_folder, remove, rename, sync_folder
from gpt_from_scratch.tokenizer.formats.hugging_face_folder import as_byte_pairs
from gpt_from_scratch.tokenizer.formats.opening import FORMATS
from gpt_from_scratch.training.commands.export import MODEL_FORMS
from gpt_from_scratch.training.commands.export import ExportConfig as ExportConfig
from gpt_from_scratch.training.report.licence import UNKNOWN
from gpt_from_scratch.training.report.model_card import model_card
from gpt_from_scratch.training.report.run_data import METRICS_FILE, Run, read_run


def export(config: ExportConfig, warn: Callable[[str], None]) -> Path:
    """Export a model into a new folder, which appears only when it is complete.

    Raises:
        FileExistsError: `out` is a file, or a folder that is not empty.
        FileNotFoundError, ValueError: there is no model, it is damaged, or the format cannot hold its tokenizer.
    """
    opened = open_model(config.source, device="cpu", ema=config.ema, warn=warn)
    out = config.out or Path(f"{opened.name}-{config.to}")
    require_new(out)
    run, step = run_of(opened)
    if run is not None:
        tell_unfinished(run, step, warn)
    elif config.to == "hugging-face":
        warn(f"{config.source} does not belong to a run: the model card has no information about its training")
    ensure_folder(out.absolute().parent)
    temporary = out.absolute().parent / f".{out.absolute().name}.{secrets.token_hex(4)}.tmp"
    try:
        ensure_folder(temporary)
        if config.to not in MODEL_FORMS:
            FORMATS[config.to].export(as_byte_pairs(opened.tokenizer), temporary, opened.name)
        elif config.to == "gguf":
            write_gguf(
                opened.model.config,
                opened.model.state_dict(),
                opened.tokenizer,
                temporary / GGUF_FILE,
                name=opened.name,
                licence=None if config.licence == UNKNOWN else config.licence,
                precision=config.precision,
            )
        else:
            write_hugging_face_folder(opened, run, step, config.licence, temporary)
        sync_folder(temporary)
        rename(temporary, out.absolute())
    finally:
        remove(temporary)
    return out


def require_new(out: Path) -> None:
    """Check that the output path is free.

    Raises:
        FileExistsError: it is a file, a link, or a folder that is not empty.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise FileExistsError(f"--out {out} is a file or a link: name a new folder")
    if out.is_dir() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty: name a new folder with --out")


def run_of(opened: OpenedModel) -> tuple[Run | None, int]:
    """The run and the step of an opened model; None and 0 for a model without a run."""
    if opened.folder is None:
        return None, 0
    parts = opened.folder.resolve()
    checkpoint = parts.parent
    step = step_of(checkpoint)
    if parts.name != MODEL_FOLDER or step is None or checkpoint.parent.name != CHECKPOINTS:
        return None, step or 0
    folder = checkpoint.parent.parent
    return (read_run(folder) if (folder / METRICS_FILE).is_file() else None), step


def tell_unfinished(run: Run, step: int, warn: Callable[[str], None]) -> None:
    """Warn if the run is not finished, or if the checkpoint is not the last one."""
    steps, state = run.config.get("steps"), run.facts.get("state", "not known")
    of = f"step {step:,}" + (f" of {steps:,}" if isinstance(steps, int) else "")
    if state != "finished":
        warn(f"the run {run.name} is not finished (its state is {state}): the exported model is {of}")
    elif isinstance(steps, int) and step < steps:
        warn(f"the exported model of the run {run.name} is {of}, not its last")


def write_hugging_face_folder(opened: OpenedModel, run: Run | None, step: int, licence: str, folder: Path) -> None:
    """Write a model that transformers opens without this package.

    Raises:
        ValueError: Hugging Face's library does not support the tokenizer.
    """
    model = opened.model
    about = run or Run(Path(opened.name), {}, {"parameters": model.num_parameters()}, (), ())
    model.save_pretrained(folder)
    card = model_card(about, model.config, step, licence)
    lack = hugging_face.write_beside(folder, model.config, opened.tokenizer, card)
    if lack is not None:
        raise ValueError(f"the tokenizer of {opened.name} cannot be converted to Hugging Face's format: {lack}")
