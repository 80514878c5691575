"""The folder of a learning command's results, its own, so that no experiment writes over another."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from gpt_from_scratch.support.storage.files import ensure_folder, new_folder, require_folder
from gpt_from_scratch.support.storage.lock import LOCK_FILE, locked

RUNS = Path("runs")
"""Where results go that nobody has named a place for."""


def check_place(out: Path | None) -> None:
    """Refuse an --out, or the default, that cannot become a folder to write in: before anything is learned for it.

    Raises:
        ValueError, PermissionError: as `require_folder`.
    """
    if out is None:
        require_folder(RUNS, f"the folder {RUNS}", "Name a place: --out FOLDER")
    else:
        require_folder(out, f"--out {out}", "Name another place")


@contextlib.contextmanager
def own_place(out: Path | None) -> Iterator[None]:
    """An --out that no other process learns into while the block runs. Without --out each gets a folder of its own.

    Raises:
        ValueError: as `check_place`.
        HeldError: another process learns into it.
    """
    check_place(out)
    if out is None:
        yield
        return
    new = not out.exists()
    ensure_folder(out)
    try:
        with locked(out / LOCK_FILE, f"another process is writing what it learns into {out}", "give another --out"):
            yield
    finally:
        if new:
            with contextlib.suppress(OSError):  # something was written
                out.rmdir()


def results_folder(out: Path | None, default: Path) -> Path:
    """The folder, made: `out` as it was asked for, else `default`, with "-2", "-3" … behind it where that is taken."""
    if out is None:
        return new_folder(default.parent, default.name)
    ensure_folder(out)
    return out
