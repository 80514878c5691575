"""Parts I of N of the work (`--part I/N`): their pieces, and the locks for N commands that share a folder."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gpt_from_scratch.support.storage.lock import LOCK_FILE, locked

SLURM = "slurm"
PATIENCE = 24 * 3600.0
"""Seconds to wait for the part that learns the tokenizer or combines the results."""


@dataclass(frozen=True)
class Part:
    """Part `number` (from 1) of `count`."""

    number: int = 1
    count: int = 1

    @staticmethod
    def of(text: str | None) -> "Part":
        """Parse "3/8", or take it from the environment of a Slurm array for "slurm"; None: the whole work.

        Raises:
            ValueError: it is neither.
        """
        if text is None:
            return Part()
        if text == SLURM:
            names = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT")
            given = [os.environ.get(name, "") for name in names]
            if not all(value.isdecimal() for value in given):
                raise ValueError(f"part is {SLURM!r}, and {names[0]} is not set: expected in sbatch --array=1-8, say")
            number, first, count = map(int, given)
            text = f"{number - first + 1}/{count}"
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise ValueError(f"part is {text!r}: expected I/N with I from 1 to N, as in 3/8, or {SLURM!r}")
        return Part(int(found[1]), int(found[2]))

    def pieces(self, n_pieces: int) -> list[int]:
        """The pieces of this part: every N-th piece."""
        return list(range(self.number - 1, n_pieces, self.count))

    @contextmanager
    def held_in(self, folder: Path) -> Iterator[None]:
        """Lock this part of the work. Raises HeldError if another process works on it."""
        path = folder / f".part-{self.number}-of-{self.count}.lock"
        what = f"another process works on part {self.number}/{self.count} of {folder}"
        with locked(path, what, "give each process a part of its own"):
            yield

    @contextmanager
    def in_turn(self, folder: Path) -> Iterator[None]:
        """Lock the folder, after waiting for the other parts to release it."""
        what = f"another process is preparing data in {folder}"
        with locked(folder / LOCK_FILE, what, "give another --out", patience=PATIENCE):
            yield

    @contextmanager
    def alone_in(self, folder: Path) -> Iterator[None]:
        """Check that no part of the work is in progress. Raises HeldError if one is."""
        with ExitStack() as held:
            for path in sorted(folder.glob(".part-*.lock")):
                what = f"another process works on a part of the data in {folder}"
                held.enter_context(locked(path, what, "wait for it, or give another --out"))
            yield


def is_part_lock(path: Path) -> bool:
    """Whether a file is the lock of a part."""
    return re.fullmatch(r"\.part-[0-9]+-of-[0-9]+\.lock", path.name) is not None
