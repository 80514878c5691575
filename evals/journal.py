"""A run's record: one JSON line a row, on disk before the row counts as done, so that a killed run goes on from there."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from gpt_from_scratch.evals.samples import SampleResult
from gpt_from_scratch.support import files
from gpt_from_scratch.support.lock import LOCK_FILE, locked


class Journal:
    """The file of a run. Its first line tells what the run asks; the others are rows under their keys.

    path: made if absent; a torn last line, of a run that was killed while it wrote, is cut off
    identity: what must be the same for rows to belong together (model, parameters, scorer ...)

    A row that is written again under its key replaces the earlier one; what both cost stays counted.

    Raises:
        ValueError: the file is of a run with another identity, or not a run's record.
        HeldError: another run is writing it.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        self.rows: dict[str, SampleResult] = {}
        self.superseded: list[SampleResult] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        self._held = contextlib.ExitStack()
        lock = path.with_name(f".{path.name}{LOCK_FILE}")
        self._held.enter_context(locked(lock, f"another run is writing {path}", "give another resume_path"))
        self._file: IO[bytes] = self._held.enter_context(path.open("ab"))
        self._header: list[Any] = [{"run": identity}]
        """Written with the first rows: a run that ends before it asks anything leaves no identity behind."""
        if path.stat().st_size > 0:
            try:
                self._read(identity)
            except BaseException:
                self._held.close()
                raise

    def append(self, rows: list[tuple[str, SampleResult]]) -> None:
        """Write rows and wait until they are on the disk; one wait however many rows."""
        lines = [{"key": key, "row": row.model_dump(mode="json")} for key, row in rows]
        text = "".join(json.dumps(line, ensure_ascii=True) + "\n" for line in [*self._header, *lines])
        self._file.write(text.encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        if self._header:
            files.sync_folder(self.path.parent)
            self._header = []
        for key, row in rows:
            self._keep(key, row)

    def _keep(self, key: str, row: SampleResult) -> None:
        if key in self.rows:
            self.superseded.append(self.rows[key])
        self.rows[key] = row

    def _read(self, identity: dict[str, Any]) -> None:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            self._file.truncate(whole)
        lines = data[:whole].splitlines()
        try:
            if lines:
                _check_same(self.path, json.loads(lines[0])["run"], json.loads(json.dumps(identity)))
                self._header = []
            for line in lines[1:]:
                entry = json.loads(line)
                self._keep(entry["key"], SampleResult.model_validate(entry["row"]))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{self.path} is not the record of a run ({error}); give another resume_path") from error

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.close()


def _check_same(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    other = [f"{key}: {before.get(key)!r} then, {now.get(key)!r} now" for key in now if before.get(key) != now[key]]
    if other:
        raise ValueError(
            f"{path} is the record of another run ({'; '.join(other)}). Give another resume_path, or run as before."
        )


def read_identity(path: Path) -> dict[str, Any]:
    """The first line of a run's record. Raises ValueError where the file is not one."""
    with path.open("rb") as file:
        line = file.readline()
    try:
        identity: dict[str, Any] = json.loads(line)["run"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not the record of a run: {error!r}") from error
    return identity


def read_rows(path: Path) -> Iterator[SampleResult]:
    """The rows of a run's record, each key's last one, in the order of first writing.

    Raises:
        ValueError: the file is not a run's record.
    """
    read_identity(path)
    rows: dict[str, SampleResult] = {}
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            try:
                entry = json.loads(line)
                if "row" in entry:
                    rows[entry["key"]] = SampleResult.model_validate(entry["row"])
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise ValueError(f"{path} is not the record of a run: {error!r}") from error
    yield from rows.values()
