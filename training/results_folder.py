"""The results folder of a `gpt learn` command. Each has its own, so that no experiment overwrites another."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from gpt_from_scratch.support.storage.files import ensure_folder, new_folder, require_folder
from gpt_from_scratch.support.storage.lock import LOCK_FILE, locked

RUNS = Path("runs")
"""Default parent folder of results."""


def check_place(out: Path | None) -> None:
    """Check, before learning begins, that --out or the default can become a writable folder.

    Raises:
        ValueError, PermissionError: as `require_folder`.
    """
    if out is None:
        require_folder(RUNS, f"the folder {RUNS}", "Name another folder: --out FOLDER")
    else:
        require_folder(out, f"--out {out}", "Name another folder")


@contextlib.contextmanager
def own_place(out: Path | None) -> Iterator[None]:
    """Lock --out while the block runs. Without --out each command gets its own folder.

    Raises:
        ValueError: as `check_place`. HeldError: another process writes results there.
    """
    check_place(out)
    if out is None:
        yield
        return
    new = not out.exists()
    ensure_folder(out)
    try:
        with locked(out / LOCK_FILE, f"another process is writing its results into {out}", "give another --out"):
            yield
    finally:
        if new:
            with contextlib.suppress(OSError):  # something was written
                out.rmdir()


def results_folder(out: Path | None, default: Path) -> Path:
    """Create the folder: `out` if given, else `default`, with the suffix "-2", "-3", … if that exists."""
    if out is None:
        return new_folder(default.parent, default.name)
    ensure_folder(out)
    return out
