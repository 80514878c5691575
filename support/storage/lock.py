"""File lock of a run's folder, prepared data, or an eval's record. It ends with its process.

It is a flock on a small file, so nothing must be cleaned up after a killed process. Linux forwards it to an NFS server, so
it works across hosts. The file's content names the holder, for people. If a file system has no flock, a second file
represents the lock, and its holder is searched among this host's processes.
"""

import contextlib
import errno
import json
import os
import secrets
import socket
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.storage.files import retried

LOCK_FILE = ".lock"
"""The name of a folder's lock, inside it."""
WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
LONGEST_NOTE = 4096
POLL_SECONDS, NOTE_SECONDS = 0.02, 1.0  # polling interval; time after which a new holder has certainly written its name


class HeldError(RuntimeError):
    """Another process has the lock; the message names it, and says what to do."""


@dataclass(frozen=True)
class Holder:
    """The holder of a lock."""

    pid: int
    host: str
    since: str
    born: str
    """When the process began, as the system counts: a later process may have its number."""
    family: list[str]
    """Ids of the parents that started it (see `locked`)."""

    def is_gone(self) -> bool:
        """Whether it surely lives no more; of another host's processes nothing is known."""
        return self.host == socket.gethostname() and _born(self.pid) != self.born


@dataclass(frozen=True)
class _Taken:
    file: int
    name: str


@contextlib.contextmanager
def locked(path: Path, what: str, instead: str, *, family: Sequence[str] = (), patience: float = 0.0) -> Iterator[None]:
    """Hold the lock `path` while the block runs; the file is there only meanwhile, or after a process that was killed.

    Args:
        what: What another holder is doing then, for the message: "another process is training in runs/x".
        instead: What to do rather than wait: "give another --run.name".
        family: Who started this process. A holder that one of them started too is about to end (it is the attempt that
            this one replaces), and is waited for.
        patience: Seconds to wait for such a holder.

    Raises:
        HeldError: Another process has it.
        ValueError: What bears the name is a link, a folder, or another file than a lock.
        OSError: The folder cannot be written.
    """
    if os.name == "nt":  # it has neither flock nor folders that can be opened: two writers are not noticed there
        yield
        return
    started = time.monotonic()
    folder = retried(
        lambda: os.open(path.parent, os.O_RDONLY)
    )  # the file is found by it, also where the folder is moved meanwhile
    try:
        while (taken := _take(folder, path)) is None:
            waited, holder = time.monotonic() - started, _holder(folder, path.name)
            unsure = (holder is None or holder.is_gone()) and waited < NOTE_SECONDS
            replaced = holder is not None and set(family) & set(holder.family) and waited < patience
            if not unsure and not replaced:
                raise HeldError(_words(folder, path, what, instead, holder))
            time.sleep(POLL_SECONDS)
        try:
            _write_note(taken.file, family)
            yield
        finally:
            with contextlib.suppress(OSError):  # a file that stays is taken over: what the block did is no less done
                if _is_at(folder, taken.name, taken.file):
                    os.unlink(taken.name, dir_fd=folder)
            os.close(taken.file)
    finally:
        os.close(folder)


def _take(folder: int, path: Path) -> _Taken | None:
    """The lock, if nobody else has it."""
    import fcntl

    while True:
        file = retried(lambda: _open(folder, path))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(folder, path.name, file):  # else its last holder removed it meanwhile
                taken, file = _Taken(file, path.name), -1
                return taken
        except OSError as error:
            if error.errno in WITHOUT_LOCKS:
                return _claim(folder, path)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            return None
        finally:
            if file >= 0:
                os.close(file)


def _open(folder: int, path: Path) -> int:
    """The lock's file, made if it is absent. Nothing that is not a lock is ever written to: a link may lead anywhere."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = os.open(path.name, flags, 0o666, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise ValueError(f"{path} is a link or a folder, where a lock would lie: remove it") from error
        error.filename = os.fspath(path)  # the system knows only its name in the folder
        raise
    about = os.fstat(file)
    content = os.pread(file, LONGEST_NOTE, 0) if stat.S_ISREG(about.st_mode) else b"?"
    if about.st_nlink > 1 or (content.strip(b"\0") and _read_note(content) is None):
        os.close(file)
        raise ValueError(f"{path} is no lock of this project's, but another file: remove it, or rename it")
    return file


def _claim(folder: int, path: Path) -> _Taken | None:
    """The lock where the file system has none: a file that only one process can have made."""
    name = f"{path.name}.held"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path.name, dir_fd=folder)
    with contextlib.suppress(FileExistsError):
        return _Taken(os.open(name, flags, 0o666, dir_fd=folder), name)
    holder = _holder(folder, path.name)
    if holder is not None and holder.is_gone():
        aside = f"{name}.{secrets.token_hex(4)}"
        with contextlib.suppress(FileNotFoundError):  # another process was quicker
            os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
            if _note_in(folder, aside) == holder:
                os.unlink(aside, dir_fd=folder)
            else:  # it was removed and made anew between our two looks
                os.rename(aside, name, src_dir_fd=folder, dst_dir_fd=folder)
    return None


def _write_note(file: int, family: Sequence[str]) -> None:
    now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    holder = Holder(os.getpid(), socket.gethostname(), now, _born(os.getpid()), list(family))
    note = json.dumps({"lock": asdict(holder)}).encode() + b"\n"
    with contextlib.suppress(OSError):  # a full disk: the lock holds without its note
        os.pwrite(file, note, 0)
        os.ftruncate(file, len(note))


def _holder(folder: int, name: str) -> Holder | None:
    """The holder recorded in the lock's file; None if there is none."""
    return _note_in(folder, f"{name}.held") or _note_in(folder, name)


def _note_in(folder: int, name: str) -> Holder | None:
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(file, "rb") as opened:
        return _read_note(opened.read(LONGEST_NOTE))


def _read_note(content: bytes) -> Holder | None:
    try:
        fields: Any = json.loads(content.split(b"\n")[0])["lock"]
        holder = Holder(**fields)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    texts = (holder.host, holder.since, holder.born)
    whole = type(holder.pid) is int and isinstance(holder.family, list) and all(isinstance(t, str) for t in texts)
    return holder if whole else None


def _words(folder: int, path: Path, what: str, instead: str, holder: Holder | None) -> str:
    who = "it does not say which" if holder is None else f"process {holder.pid} on {holder.host} since {holder.since}"
    stop = "" if holder is None else f" or end it (kill {holder.pid}, on {holder.host})"
    by_file = _note_in(folder, f"{path.name}.held") is not None
    gone = f"; if it is gone, remove {path}.held" if by_file else ""
    return f"{what}: {who}. Wait for it{stop}, or {instead}{gone}"


def _is_at(folder: int, name: str, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(file))
    except FileNotFoundError:
        return False


def _born(pid: int) -> str:
    """When a process of this host began, in the kernel's ticks; "" where there is none, "?" where that is not told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        pass
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return ""
    except PermissionError:
        pass
    return "?"
