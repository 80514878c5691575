"""Finding and verifying a trained model: a run's newest complete checkpoint, a checkpoint, or a folder."""

from collections.abc import Callable
from pathlib import Path

from gpt_from_scratch.models.checkpoints.checkpoint import (
    ADAPTER_FOLDER,
    MODEL_FOLDER,
    READ_BY_NAME,
    STATE_FILE,
    TENSORS_FILE,
    DamagedCheckpointError,
    step_of,
)
from gpt_from_scratch.models.checkpoints.manifest import MANIFEST_FILE, damage
from gpt_from_scratch.models.interchange.peft_format import ADAPTER_CONFIG
from gpt_from_scratch.models.weight_files import CONFIG_FILE, INDEX_FILE, WEIGHTS_FILE, has_weights

CHECKPOINTS = "checkpoints"
LOOKS = 5  # retries: a running run's rotation may remove a checkpoint while it is read


def find_model(source: Path, warn: Callable[[str], None]) -> Path:
    """Find the folder of the model `source`. A checkpoint is verified against its manifest.

    Args:
        source: A run's folder (its newest whole checkpoint is taken), a checkpoint's, a model's own, or an adapter's.
        warn: called for each newer checkpoint that is skipped because it is damaged.

    Raises:
        FileNotFoundError: it is none of these; the message says what was found.
        DamagedCheckpointError: the given checkpoint is damaged, or all of the run are.
    """
    if not source.is_dir():
        what = "is a file" if source.exists() else "does not exist"
        raise FileNotFoundError(
            f"no model at {source}: {source} {what}: give a run's folder, a checkpoint's or a model's"
        )
    whole = source.resolve()  # a link to a checkpoint or to its model is one
    if (whole / CHECKPOINTS).is_dir() or whole.name == CHECKPOINTS:
        return _newest(whole if whole.name == CHECKPOINTS else whole / CHECKPOINTS, warn) / MODEL_FOLDER
    if whole.name == MODEL_FOLDER and is_checkpoint(whole.parent):
        _prove(whole.parent)
        return source
    if is_checkpoint(whole):
        _prove(whole)
        return source / MODEL_FOLDER
    if whole.name == ADAPTER_FOLDER and is_checkpoint(whole.parent):
        _prove(whole.parent)
        return source.parent / MODEL_FOLDER  # where it is added already
    if is_adapter(source):
        return source
    for folder in (source, source / MODEL_FOLDER):
        # A run has a config.json too, of its training.
        if (folder / CONFIG_FILE).is_file() and has_weights(folder):
            return folder
    if any(step_of(path) is not None for path in whole.iterdir()):
        return _newest(whole, warn) / MODEL_FOLDER
    runs = sorted(path.name for path in source.iterdir() if (path / CHECKPOINTS).is_dir())
    hint = f" It holds the runs {', '.join(runs[:5])}: name one of them." if runs else ""
    raise FileNotFoundError(
        f"no model at {source}: {source} is neither a run nor a checkpoint nor a model, which has {CONFIG_FILE} and "
        f"{WEIGHTS_FILE} (or {INDEX_FILE}).{hint}"
    )


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder is a checkpoint, complete or not: it has some file that only training writes."""
    kept = (MANIFEST_FILE, STATE_FILE, TENSORS_FILE)
    return any((folder / name).exists() for name in kept) and (
        (folder / MODEL_FOLDER).exists() or step_of(folder) is not None
    )


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adaptation of another model, as peft writes it, and no weights of its own."""
    return (folder / ADAPTER_CONFIG).is_file() and not has_weights(folder)


def _is_bare(folder: Path) -> bool:
    """Whether only the model of a checkpoint was kept, which can no longer be verified."""
    return (
        not is_checkpoint(folder)
        and (folder / MODEL_FOLDER / CONFIG_FILE).is_file()
        and has_weights(folder / MODEL_FOLDER)
    )


def _prove(checkpoint: Path) -> None:
    if lines := damage(checkpoint, step_of(checkpoint), READ_BY_NAME):
        raise DamagedCheckpointError(_told(f"the checkpoint {checkpoint} is damaged:", lines))


def _told(words: str, lines: list[str]) -> str:
    """A message with the damage, in at most three lines."""
    more = f" (and {len(lines) - 2} more files)" if len(lines) > 2 else ""
    return "\n".join([words, *lines[:2]]) + more


def _newest(folder: Path, warn: Callable[[str], None]) -> Path:
    """The newest complete checkpoint in `folder`."""
    damaged: set[int] = set()
    for _ in range(LOOKS):
        steps = sorted((step for path in folder.iterdir() if (step := step_of(path)) is not None), reverse=True)
        if not steps:
            raise FileNotFoundError(f"{folder} holds no checkpoint yet")
        gone = False
        for step in [step for step in steps if step not in damaged]:
            checkpoint = folder / f"step-{step:08d}"
            if _is_bare(checkpoint):
                warn(f"{checkpoint} has a model but no {MANIFEST_FILE}: it cannot be verified")
                return checkpoint
            if not (lines := damage(checkpoint, step, READ_BY_NAME)):
                return checkpoint
            if not checkpoint.is_symlink() and not checkpoint.exists():
                gone = True  # removed while it was read: there is a newer one
                break
            damaged.add(step)
            warn(_told(f"the checkpoint of step {step} is damaged and skipped:", lines))
        if not gone:
            break
    raise DamagedCheckpointError(f"no checkpoint in {folder} is complete")
