"""Maintenance of a folder of checkpoints: list the steps, clean up leftovers, remove old checkpoints."""

import contextlib
import re
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from gpt_from_scratch.models.checkpoints import checkpoint
from gpt_from_scratch.support.storage.files import ensure_folder, remove, rename, retried


def steps_in(folder: Path) -> list[int]:
    """Steps that have a checkpoint, ascending.

    Raises:
        ValueError: it is a file.
    """
    try:
        names = retried(lambda: [path.name for path in folder.iterdir() if path.is_dir()])
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise ValueError(f"{folder} is a file: expected the folder with a run's checkpoints") from None
    return sorted(int(found[1]) for name in names if (found := re.fullmatch(r"step-(\d{8,})", name)))


def path_of(folder: Path, step: int) -> Path:
    """Path of a step's checkpoint, whether it exists or not."""
    return folder / f"step-{step:08d}"


def clean_up(folder: Path, temporary: Path, position: int | None, warn: Callable[[str], None]) -> None:
    """Remove partial files of a killed process, and rename checkpoints that do not belong to this run's history.

    Args:
        temporary: the hidden folder of the current save, which stays.
        position: the step that was saved or loaded last, if any.
    """
    ensure_folder(folder)
    for leftover in folder.glob(".*.tmp"):
        if leftover != temporary:
            with contextlib.suppress(OSError):  # a hidden folder does no harm: the next save tries again
                remove(leftover)
    for path in sorted(folder.iterdir()):
        if (step := checkpoint.step_of(path)) is None:
            continue
        # A file or a dangling link at a checkpoint's path would make the save of that step fail.
        if position is None or step > position or not path.is_dir():
            aside = folder / f"aside-{path.name}-{secrets.token_hex(4)}"
            rename(path, aside)
            warn(
                f"{path} does not belong to this run's history (damaged, or after the step of the resume): renamed to "
                f"{aside.name}, which you may delete"
            )


def rotate(folder: Path, steps: Sequence[int], best: int | None, keep_last: int, keep_every: int) -> None:
    """Remove old checkpoints. Each is renamed first, so that a killed process leaves no partial folder with a checkpoint's
    name.
    """
    kept = {*steps[-keep_last:], best}
    for step in steps:
        if step not in kept and not (keep_every and step % keep_every == 0):
            doomed = folder / f".{path_of(folder, step).name}.{secrets.token_hex(4)}.tmp"
            rename(path_of(folder, step), doomed)
            remove(doomed)
