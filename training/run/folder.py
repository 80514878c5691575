"""A run's folder: what it is made of, and the lines that it records.

config.json     the resolved config
run.json        what ran: device, backends, versions, how it ended
launchers.json  the torchruns that ran it, one a host: what they start again goes on here
.lock           there while a process writes here: who it is
metrics.jsonl   one record a line: their kinds are the files of training/metrics/records/
checkpoints/    step-00000500/ …
report.html     drawn from these
"""

import contextlib
import dataclasses
import glob
import json
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Any, TypeVar

from gpt_from_scratch.support.storage.files import (
    FULL,
    FoundFolder,
    ensure_folder,
    new_folder,
    retried,
    write_bytes,
    write_text,
)
from gpt_from_scratch.support.storage.json_text import json_text
from gpt_from_scratch.support.storage.lock import LOCK_FILE
from gpt_from_scratch.training.metrics.loggers import Loggers
from gpt_from_scratch.training.metrics.record import Record, as_line

_log = logging.getLogger(__name__)
R = TypeVar("R", bound=Record)


class RunFolder:
    """Rank 0's writer; other ranks hold one with `writes=False`, which writes nothing."""

    def __init__(
        self,
        path: Path,
        writes: bool,
        launchers: Sequence[str] = (),
        warn: Callable[[str], None] = _log.warning,
    ) -> None:
        """
        Args:
            launchers: the torchruns that this run is started by.
            warn: told of a disk that is full or fails, which ends no run: lines of metrics wait in memory until they can
                be written.

        Raises:
            OSError: the folder cannot be made, or not be written to.
        """
        self._metrics: FileIO | None = None
        self._waiting = b""
        self._warn = warn
        if writes:
            ensure_folder(path)
        self._named = path
        self._found = FoundFolder(path) if path.is_dir() else None  # a host that writes nothing need not see it
        if writes:
            _note_launchers(path, launchers)  # first: a run killed from here on is found again
            retried(self._cut_half_line)
            self._metrics = retried(lambda: (path / "metrics.jsonl").open("ab", buffering=0))
        self._fails = False
        self._about: dict[str, Any] = {}
        self._start = time.perf_counter()
        self.seconds_before = 0.0
        self.loggers: Loggers | None = None
        """They get every recorded line, too."""

    @property
    def path(self) -> Path:
        """Where the folder is: a run goes on in it when it is moved or renamed.

        Raises:
            FileNotFoundError: it was removed, or moved to another disk.
        """
        return self._named if self._found is None else self._found.path

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints lie."""
        return self.path / "checkpoints"

    @property
    def seconds(self) -> float:
        """Seconds since the run began, earlier parts of a resumed run included."""
        return self.seconds_before + time.perf_counter() - self._start

    @property
    def about(self) -> dict[str, Any]:
        """What run.json says."""
        return dict(self._about)

    def write_config(self, settings: Mapping[str, Any]) -> None:
        """Write config.json."""
        if self._metrics is not None:
            write_text(self.path / "config.json", json_text(settings, indent=2) + "\n")

    def describe(self, **fields: Any) -> None:
        """Merge `fields` into run.json."""
        self._about |= fields
        if self._metrics is not None:
            with self._spared("run.json", then="the run goes on"):
                write_text(self.path / "run.json", json_text({**self._about, "seconds": self.seconds}, indent=2) + "\n")

    def record(self, record: R) -> R:
        """Append a record to metrics.jsonl, and tell the loggers; returns it with its time."""
        record = dataclasses.replace(record, seconds=round(self.seconds, 3))
        if self._metrics is not None:
            self._waiting += json_text(as_line(record)).encode() + b"\n"
            self._write_waiting()
            if self.loggers is not None:
                self.loggers.record(record)
        return record

    def close(self) -> None:
        """Bring the metrics to the disk; what could not be written by now is lost, and that is told."""
        if self._metrics is not None:
            self._fails = False  # the last time, it is told again
            with self._spared("metrics.jsonl", then="its last lines are lost"):
                retried(self._write_out)
                self._sync(self._metrics)
            with contextlib.suppress(OSError):  # closing writes nothing: the file has no buffer
                self._metrics.close()
            self._metrics = None
        if self.loggers is not None:
            self.loggers.close()

    def _sync(self, metrics: FileIO) -> None:
        """After a failed fsync the kernel may call lost pages clean: the lines are then written to a new file."""
        try:
            os.fsync(metrics.fileno())
        except OSError:
            path = self.path / "metrics.jsonl"
            write_bytes(path, retried(path.read_bytes))

    def _write_waiting(self) -> None:
        with self._spared("metrics.jsonl"):
            if self._fails:  # a disk that fails for good is not waited for at every line
                self._write_out()
            else:
                retried(self._write_out)
            self._fails = False

    def _write_out(self) -> None:
        assert self._metrics is not None
        while self._waiting:
            self._waiting = self._waiting[self._metrics.write(self._waiting) :]

    @contextlib.contextmanager
    def _spared(self, name: str, then: str = "the run goes on, and its lines wait") -> Iterator[None]:
        """What cannot be written is told, once."""
        try:
            yield
        except OSError as error:
            if not self._fails:
                reason = "the disk is full" if error.errno in FULL else f"a file could not be written ({error})"
                self._warn(f"{reason}: {self.path / name} cannot be written; {then}")
            self._fails = True

    def _cut_half_line(self) -> None:
        """A killed process may have left half a line, which would spoil the next one."""
        path = self.path / "metrics.jsonl"
        if path.exists() and (data := path.read_bytes()) and not data.endswith(b"\n"):
            with path.open("r+b") as file:
                file.truncate(data.rfind(b"\n") + 1)


LAUNCHERS_FILE = "launchers.json"


def restarted_folder(root: Path, name: str | None, launchers: Sequence[str]) -> Path | None:
    """The folder that an earlier attempt of these very torchruns made; None if this is their first.

    Hosts come and go, but one torchrun at least outlives each attempt: one of `launchers` that wrote into a run is enough.
    """
    for note in sorted(root.glob(f"{'*' if name is None else glob.escape(name)}/{LAUNCHERS_FILE}")):
        if set(launchers) & set(_launchers_of(note.parent)):
            return note.parent
    return None


def is_run(path: Path) -> bool:
    """Whether a run has begun to write there."""
    return (path / "metrics.jsonl").exists()


def _launchers_of(path: Path) -> list[str]:
    try:
        noted = json.loads((path / LAUNCHERS_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    return [word for word in noted if isinstance(word, str)] if isinstance(noted, list) else []


def _note_launchers(path: Path, launchers: Sequence[str]) -> None:
    if new := sorted({*launchers} - {*(noted := _launchers_of(path))}):
        write_text(path / LAUNCHERS_FILE, json.dumps([*noted, *new]) + "\n")


def make_folder(root: Path, name: str | None, preset: str) -> Path:
    """The folder of a new run: that of its name, which may be there and must then be empty, or one that nobody else gets.

    Raises:
        FileExistsError: `name` is taken.
    """
    if name is None:
        return new_folder(root, f"{preset}-{time.strftime('%Y%m%d-%H%M%S')}")
    path = root / name
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file, and a run needs a folder: choose another --run.name")
    path.mkdir(parents=True, exist_ok=True)
    return path


def require_empty(path: Path) -> None:
    """Refuse a new run's folder that holds more than its lock.

    Raises:
        FileExistsError: something lies there.
    """
    if any(child.name != LOCK_FILE for child in path.iterdir()):
        raise FileExistsError(
            f"{path} already holds something: choose another --run.name, or go on with it by --resume {path} "
            "(--resume auto begins or goes on, whichever it is)"
        )


def versions() -> dict[str, str]:
    """What a result depends on."""
    import torch

    from gpt_from_scratch.kernels.requirements import missing_package

    found = {"python": platform.python_version(), "torch": torch.__version__}
    if missing_package("triton") is None:
        import importlib.metadata

        found["triton"] = importlib.metadata.version("triton")
    return found | {"platform": f"{platform.system()} {platform.machine()}", "byteorder": sys.byteorder}
