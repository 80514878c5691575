"""Disk space: the check before a run, and the detection of a full disk."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from gpt_from_scratch.support.storage.files import FULL, error_number
from gpt_from_scratch.support.units import exact_size


class PartError(RuntimeError):
    """Another rank could not write its part of a checkpoint: its disk failed (`disk`), was full (`full`), or neither."""

    def __init__(self, message: str, full: bool = False, disk: bool = False) -> None:
        super().__init__(message)
        self.full, self.disk = full, disk or full


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Size of these tensors on disk, in bytes (without headers, state and manifest, a few kilobytes)."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def preflight(bytes_needed: int, folder: Path) -> None:
    """Check before a run that its checkpoints will fit on the disk.

    Args:
        bytes_needed: of all checkpoints that exist at once: those kept, and one being written.
        folder: the folder of the checkpoints; it need not exist yet.

    Raises:
        RuntimeError: less space than that is free.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < bytes_needed:
        raise RuntimeError(
            f"the checkpoints of this run need {exact_size(bytes_needed)} in {folder}, and {exact_size(free)} are free there: "
            "make room, choose a folder on another disk, or keep fewer checkpoints"
        )


def free_bytes(folder: Path) -> int:
    """Free bytes on the disk of an existing folder."""
    return shutil.disk_usage(folder).free


def is_disk_full(error: Exception) -> bool:
    """Whether a write failed because the disk or the quota is full."""
    return error.full if isinstance(error, PartError) else error_number(error) in FULL
