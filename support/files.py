"""Files that are either whole or absent: written beside their place, synced, and renamed into it."""

import contextlib
import hashlib
import os
import secrets
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A name beside `path` for the block to write a file at; it takes `path`'s place only when the block ends well.

    After a crash at any moment `path` is the old file or the new one, whole.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_open(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """`atomic_path`, as a file open for writing. `mode` is "wb" or "w" (UTF-8)."""
    if mode not in ("wb", "w"):
        raise ValueError(f"atomic_open writes whole files: mode is 'wb' or 'w', not {mode!r}")
    with atomic_path(path) as temporary, temporary.open(mode, encoding=None if mode == "wb" else "utf-8") as file:
        yield file


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_open(path, "w") as file:
        file.write(text)


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes atomically."""
    with atomic_open(path) as file:
        file.write(data)


def new_folder(root: Path, name: str) -> Path:
    """A folder in `root` that this call has made: `name`, or with "-2", "-3" … behind it where others were quicker."""
    root.mkdir(parents=True, exist_ok=True)
    path, number = root / name, 2
    while True:
        try:
            path.mkdir()
        except FileExistsError:
            path, number = root / f"{name}-{number}", number + 1
        else:
            return path


class FoundFolder:
    """A folder that is found again when it is moved or renamed while it is in use: it is held open, and asked where it is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = None if os.name == "nt" else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if self._open is not None:
            weakref.finalize(self, os.close, self._open)

    @property
    def path(self) -> Path:
        """Where it is now.

        Raises:
            FileNotFoundError: It was removed, or moved to another disk, which is a copy and a removal.
        """
        if self._open is None or self._is_at(self._path):
            return self._path
        moved = _path_of(self._open)
        if not self._is_at(moved):
            raise FileNotFoundError(
                f"{self._path} was removed, or moved to another disk, while it was in use: what is written next has no place"
            )
        self._path = moved
        return moved

    def _is_at(self, path: Path) -> bool:
        assert self._open is not None
        try:
            return os.path.samestat(path.stat(), os.fstat(self._open))
        except OSError:
            return False


def _path_of(folder: int) -> Path:
    """The present path of an open folder, as the kernel knows it."""
    if sys.platform == "darwin":
        import fcntl

        return Path(os.fsdecode(fcntl.fcntl(folder, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0")))
    return Path(f"/proc/self/fd/{folder}").readlink()


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable (a no-op where folders cannot be opened, as on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
