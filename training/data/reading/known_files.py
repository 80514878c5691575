"""The content of the files that `prepare` reads: another file of the same name, size and time is other data."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpt_from_scratch.support.storage.files import sha256


@dataclass(frozen=True)
class KnownFiles:
    """Files by what they hold, and how each was found when it was read for that."""

    hashes: dict[str, str]
    """SHA-256 of each, by its path."""
    marks: dict[str, tuple[int, ...]]

    @staticmethod
    def of(paths: Sequence[Path]) -> "KnownFiles":
        """Read them all: at about a gigabyte a second, a small part of the time that tokenizing them takes."""
        marks = {str(path): _mark(path) for path in paths}
        return KnownFiles({str(path): sha256(path) for path in paths}, marks)

    def require_unchanged(self) -> None:
        """Refuse files that somebody wrote to meanwhile.

        Raises:
            ValueError: one is not as it was; FileNotFoundError: it is gone.
        """
        for path, mark in self.marks.items():
            if _mark(Path(path)) != mark:
                raise ValueError(
                    f"{path} was changed while it was read: remove what was made of it, and prepare it again"
                )


def _mark(path: Path) -> tuple[int, ...]:
    """What changes with every write; the time of the last change to the file's entry cannot be set back."""
    about = path.stat()
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns
