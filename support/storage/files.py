"""Atomic file operations, with retries after temporary disk or network errors.

A file is written under a temporary name, synced, and renamed. After a temporary error it is written again from its start,
because the kernel may drop dirty pages after a failed fsync.
"""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

Made = TypeVar("Made")

FULL = (errno.ENOSPC, errno.EDQUOT)
"""No room, or no quota."""
PASSING = frozenset(
    getattr(errno, name)
    for name in (
        *("EIO", "EREMOTEIO", "EINTR", "EAGAIN", "EBUSY", "ENOSPC", "EDQUOT", "ENOMEM", "ENOBUFS", "EMFILE", "ENFILE"),
        *("ESTALE", "ETIMEDOUT", "ENOLCK", "ECONNRESET", "ECONNABORTED", "ECONNREFUSED", "ENOTCONN", "ENETDOWN"),
        *("ENETUNREACH", "ENETRESET", "EHOSTDOWN", "EHOSTUNREACH"),
    )
    if hasattr(errno, name)
)
"""Errors that may be gone a moment later: of a disk, of a network folder, of a machine that is short of something."""
CANNOT_SYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EACCES, errno.EPERM)
"""Errors of file systems that do not support fsync of a folder."""
PAUSES = (0.05, 0.25, 1.0)
"""Seconds before the second, third and fourth try."""
STAYED = "it stayed so when tried again"


def error_number(error: BaseException) -> int | None:
    """The operating system's number for what went wrong; libraries in Rust (safetensors) give it only in their text."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found else None


def retried(work: Callable[[], Made]) -> Made:
    """Call `work`, with retries after temporary errors (`PASSING`), and return its result.

    An error that an inner call has met so often already is not waited for once more.
    """
    for pause in PAUSES:
        try:
            return work()
        except Exception as error:  # of any type: error_number says whether the operating system is behind it
            if error_number(error) not in PASSING or STAYED in getattr(error, "__notes__", ()):
                raise
        time.sleep(pause)
    try:
        return work()
    except Exception as error:  # the same: it is only marked
        error.add_note(STAYED)
        raise


def write_whole(path: Path, write: Callable[[Path], Made]) -> Made:
    """Let `write` make a file at the name that it is given, and put that in the place of `path`; tried again as a whole.

    Raises:
        OSError: it could not be written; `path` is as it was.
    """

    def attempt() -> Made:
        with atomic_path(path) as temporary:
            return write(temporary)

    return retried(attempt)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A name beside `path` for the block to write a file at; it takes `path`'s place only when the block ends well.

    After a crash at any moment `path` is the old file or the new one, whole. For what can be written again: `write_whole`.
    """
    _require_replaceable(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        with retried(lambda: temporary.open("rb")) as file:
            sync_file(file.fileno(), path)
        rename(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        # A name that nobody has given; or none, as of a write.
        if error.errno is not None and error.filename in (None, temporary, str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        with contextlib.suppress(OSError):  # hidden, and in nobody's way
            remove(temporary)


def sync_file(file: int, path: Path) -> None:
    """Bring an open file to the disk; an error names the file, which that of the system does not."""
    try:
        os.fsync(file)
    except OSError as error:
        error.filename = os.fspath(path)
        raise


def require_place(path: Path) -> None:
    """Refuse a name that no file can be written under, before the work for it begins.

    Raises:
        OSError: a folder, a pipe or a device is there, or the folder to put it in is missing or cannot be written.
    """
    _require_replaceable(path)
    folder = path.parent
    if not folder.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, f"no file can be there, since {folder} is no folder: make it first", str(path)
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"you may not write in the folder {folder}: name another place", str(path))


def require_folder(folder: Path, called: str, advice: str) -> None:
    """Refuse a name that cannot become a folder to write in; the messages name it as `called`, and end with the advice.

    Raises:
        ValueError: it, or a part of its path, is a file.
        PermissionError: it, or the nearest folder above it that exists, cannot be written.
    """
    whole = folder.absolute()
    there = next(path for path in (whole, *whole.parents) if path.exists() or path.is_symlink())
    if not there.is_dir():
        raise ValueError(f"{called} cannot be a folder: {there} is a file. {advice}")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{called} cannot be written: you may not write in {there}. {advice}")


def _require_replaceable(path: Path) -> None:
    """Raise OSError for a folder, and for a pipe or a device: a rename of root's would take the place of `/dev/null` itself."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(
            errno.EISDIR, "a folder is there, and a file is to be written: name another place", str(path)
        )
    if not stat.S_ISREG(mode):
        raise OSError(
            errno.EINVAL, "a pipe or a device is there, and a file is to be written: name another place", str(path)
        )


@contextlib.contextmanager
def atomic_open(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """`atomic_path`, as a file open for writing. `mode` is "wb" or "w" (UTF-8)."""
    if mode not in ("wb", "w"):
        raise ValueError(f"atomic_open writes whole files: mode is 'wb' or 'w', not {mode!r}")
    with (
        atomic_path(path) as temporary,
        retried(lambda: temporary.open(mode, encoding=None if mode == "wb" else "utf-8")) as file,
    ):
        yield file


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes atomically."""
    write_whole(path, lambda temporary: temporary.write_bytes(data))


def ensure_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are not there."""
    retried(lambda: folder.mkdir(parents=True, exist_ok=True))


def rename(source: Path, target: Path) -> None:
    """Put `source` in the place of `target`.

    A server of files may do it and lose the answer on the way: `source` is then gone when it is tried again.
    """
    tries = 0

    def attempt() -> None:
        nonlocal tries
        tries += 1
        try:
            source.replace(target)
        except FileNotFoundError:
            if tries == 1 or not target.exists():
                raise

    retried(attempt)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it; nothing if it is not there."""

    def attempt() -> None:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        except FileNotFoundError:
            pass

    retried(attempt)


def new_folder(root: Path, name: str) -> Path:
    """A folder in `root` that this call has made: `name`, or with "-2", "-3" … behind it where others were quicker."""
    ensure_folder(root)
    path, number = root / name, 2
    while True:
        try:
            retried(path.mkdir)
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
        """Its current path.

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
    """Make a rename inside `folder` durable (nothing where folders cannot be synced, as on Windows)."""
    if os.name == "nt":
        return

    def attempt() -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    try:
        retried(attempt)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise


def sha256(path: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits, read in pieces."""

    def attempt() -> str:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    return retried(attempt)
