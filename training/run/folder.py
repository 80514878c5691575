"""A run's folder: its files, and the writer of its records.

config.json     the resolved config
run.json        what ran: device, backends, versions, how it ended
launchers.json  ids of the torchruns that ran it, one per host, to find it after a restart
.lock           exists while a process writes here; names the process
metrics.jsonl   one record per line; the kinds are the files of training/metrics/records/
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
    """Rank 0's writer of a run's folder. Other ranks have one with `writes=False`, which writes nothing."""

    def __init__(
        self,
        path: Path,
        writes: bool,
        launchers: Sequence[str] = (),
        warn: Callable[[str], None] = _log.warning,
    ) -> None:
        """
        Args:
            launchers: ids of the torchruns that started this run.
            warn: called with a message if the disk is full or fails. The run continues, and metrics wait in memory until
                they can be written.

        Raises:
            OSError: the folder cannot be created or written to.
        """
        self._metrics: FileIO | None = None
        self._waiting = b""
        self._warn = warn
        if writes:
            ensure_folder(path)
        self._named = path
        self._found = FoundFolder(path) if path.is_dir() else None  # a host that writes nothing may not see it
        if writes:
            _note_launchers(path, launchers)  # first, so that a run that is killed from now on can be found
            retried(self._cut_half_line)
            self._metrics = retried(lambda: (path / "metrics.jsonl").open("ab", buffering=0))
        self._fails = False
        self._about: dict[str, Any] = {}
        self._start = time.perf_counter()
        self.seconds_before = 0.0
        self.loggers: Loggers | None = None
        """They also get every record."""

    @property
    def path(self) -> Path:
        """Current path of the folder, also after it was moved or renamed.

        Raises:
            FileNotFoundError: it was removed or moved to another disk.
        """
        return self._named if self._found is None else self._found.path

    @property
    def checkpoints(self) -> Path:
        """Path of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def seconds(self) -> float:
        """Seconds of training, including earlier parts of a resumed run."""
        return self.seconds_before + time.perf_counter() - self._start

    @property
    def about(self) -> dict[str, Any]:
        """The content of run.json."""
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
        """Append a record to metrics.jsonl, send it to the loggers, and return it with its time."""
        record = dataclasses.replace(record, seconds=round(self.seconds, 3))
        if self._metrics is not None:
            self._waiting += json_text(as_line(record)).encode() + b"\n"
            self._write_waiting()
            if self.loggers is not None:
                self.loggers.record(record)
        return record

    def close(self) -> None:
        """Write all metrics to the disk. Lines that still cannot be written are lost, with a warning."""
        if self._metrics is not None:
            self._fails = False  # at the end, warn again
            with self._spared("metrics.jsonl", then="its last lines are lost"):
                retried(self._write_out)
                self._sync(self._metrics)
            with contextlib.suppress(OSError):  # closing writes nothing: the file has no buffer
                self._metrics.close()
            self._metrics = None
        if self.loggers is not None:
            self.loggers.close()

    def _sync(self, metrics: FileIO) -> None:
        """Sync the file. After a failed fsync the kernel may drop dirty pages, so the lines are written to a new file."""
        try:
            os.fsync(metrics.fileno())
        except OSError:
            path = self.path / "metrics.jsonl"
            write_bytes(path, retried(path.read_bytes))

    def _write_waiting(self) -> None:
        with self._spared("metrics.jsonl"):
            if self._fails:  # do not wait for a permanently failed disk at every line
                self._write_out()
            else:
                retried(self._write_out)
            self._fails = False

    def _write_out(self) -> None:
        assert self._metrics is not None
        while self._waiting:
            self._waiting = self._waiting[self._metrics.write(self._waiting) :]

    @contextlib.contextmanager
    def _spared(self, name: str, then: str = "the run continues, and its lines wait in memory") -> Iterator[None]:
        """Warn once if a file cannot be written."""
        try:
            yield
        except OSError as error:
            if not self._fails:
                reason = "the disk is full" if error.errno in FULL else f"a file could not be written ({error})"
                self._warn(f"{reason}: {self.path / name} cannot be written; {then}")
            self._fails = True

    def _cut_half_line(self) -> None:
        """Remove a partial last line, which a killed process may have left."""
        path = self.path / "metrics.jsonl"
        if path.exists() and (data := path.read_bytes()) and not data.endswith(b"\n"):
            with path.open("r+b") as file:
                file.truncate(data.rfind(b"\n") + 1)


LAUNCHERS_FILE = "launchers.json"


def restarted_folder(root: Path, name: str | None, launchers: Sequence[str]) -> Path | None:
    """The folder that an earlier attempt of the same torchruns made; None at their first attempt.

    Hosts may join or leave, but at least one torchrun outlives each attempt, so one matching id is enough.
    """
    for note in sorted(root.glob(f"{'*' if name is None else glob.escape(name)}/{LAUNCHERS_FILE}")):
        if set(launchers) & set(_launchers_of(note.parent)):
            return note.parent
    return None


def is_run(path: Path) -> bool:
    """Whether a run has written there."""
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
    """Create the folder of a new run: `name`, which must not exist or be empty, or a unique default.

    Raises:
        FileExistsError: `name` is taken.
    """
    if name is None:
        return new_folder(root, f"{preset}-{time.strftime('%Y%m%d-%H%M%S')}")
    path = root / name
    if path.exists() and not path.is_dir():
        raise FileExistsError(f"{path} is a file, but a run needs a folder: choose another --run.name")
    path.mkdir(parents=True, exist_ok=True)
    return path


def require_empty(path: Path) -> None:
    """Check that a new run's folder holds nothing but its lock.

    Raises:
        FileExistsError: it has other content.
    """
    if any(child.name != LOCK_FILE for child in path.iterdir()):
        raise FileExistsError(
            f"{path} is not empty: choose another --run.name, or continue that run with --resume {path} (--resume auto "
            "starts or continues)"
        )


def versions() -> dict[str, str]:
    """Versions of Python and the packages that affect results."""
    import torch

    from gpt_from_scratch.kernels.requirements import missing_package

    found = {"python": platform.python_version(), "torch": torch.__version__}
    if missing_package("triton") is None:
        import importlib.metadata

        found["triton"] = importlib.metadata.version("triton")
    return found | {"platform": f"{platform.system()} {platform.machine()}", "byteorder": sys.byteorder}
