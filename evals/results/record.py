"""A run's record: one JSON line per row, synced before the row counts as done, so that a killed run can resume."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pydantic

from gpt_from_scratch.evals.protocol.credentials import without_credentials
from gpt_from_scratch.evals.protocol.samples import SampleResult
from gpt_from_scratch.support.storage import files
from gpt_from_scratch.support.storage.lock import LOCK_FILE, locked
from gpt_from_scratch.support.storage.text_files import require_file


class Journal:
    """The file of a run. Its first line describes the run; the others are rows with their keys.

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
        if path.exists():
            require_file(path)
        self._held = contextlib.ExitStack()
        lock = path.with_name(f".{path.name}{LOCK_FILE}")
        self._held.enter_context(locked(lock, f"another run is writing {path}", "give another resume_path"))
        self._file = self._held.enter_context(path.open("ab", buffering=0))
        self._whole = path.stat().st_size
        """Bytes of the file that are on the disk, in whole lines."""
        self._header: list[Any] = [{"run": identity}]
        """Written with the first rows: a run that ends before it asks anything leaves no identity behind."""
        if self._whole > 0:
            try:
                self._read(identity)
            except BaseException:
                self._held.close()
                raise

    def append(self, rows: list[tuple[str, SampleResult]]) -> None:
        """Write rows and wait until they are on the disk; one wait however many rows.

        Raises:
            OSError: the disk did not take them, though it was asked again; the file is as it was.
        """
        lines = [{"key": key, "row": row.model_dump(mode="json")} for key, row in rows]
        text = "".join(json.dumps(line, ensure_ascii=True) + "\n" for line in [*self._header, *lines])
        data = text.encode()
        try:
            files.retried(lambda: self._write(data))
        except OSError:
            with contextlib.suppress(OSError):  # half a line, which the next to open the file cuts off
                self._file.truncate(self._whole)
            raise
        self._whole += len(data)
        if self._header:
            files.sync_folder(self.path.parent)
            self._header = []
        for key, row in rows:
            self._keep(key, row)

    def _write(self, data: bytes) -> None:
        """Write behind the last whole line; all of it anew after a failure, as a failed fsync may have lost pages."""
        self._file.truncate(self._whole)
        while data:
            data = data[self._file.write(data) :]
        os.fsync(self._file.fileno())

    def _keep(self, key: str, row: SampleResult) -> None:
        if key in self.rows:
            self.superseded.append(self.rows[key])
        self.rows[key] = row

    def _read(self, identity: dict[str, Any]) -> None:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            self._file.truncate(whole)
        self._whole = whole
        lines = data[:whole].split(b"\n")[:-1]
        if lines:
            _check_same(self.path, _identity(self.path, lines[0]), json.loads(json.dumps(identity)))
            self._header = []
        for number, line in enumerate(lines[1:], start=2):
            self._keep(*_row(self.path, number, line))

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._held.close()


def _check_same(path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    then = {key: without_credentials(value) for key, value in before.items()}
    other = [f"{key}: {then.get(key)!r} then, {now[key]!r} now" for key in now if then.get(key) != now[key]]
    if other:
        raise ValueError(
            f"{path} is the record of another run ({'; '.join(other)}). Give another resume_path, or run as before."
        )


def read_identity(path: Path) -> dict[str, Any]:
    """The first line of a run's record. Raises ValueError where the file is not one."""
    require_file(path)
    with path.open("rb") as file:
        return _identity(path, file.readline())


def read_rows(path: Path) -> Iterator[SampleResult]:
    """The rows of a run's record, each key's last one, in the order of first writing.

    Raises:
        ValueError: the file is not a run's record.
    """
    rows: dict[str, SampleResult] = {}
    require_file(path)
    with path.open("rb") as file:
        _identity(path, file.readline())
        for number, line in enumerate(file, start=2):
            if line.endswith(b"\n"):  # else it is the torn last one of a run that was killed
                key, row = _row(path, number, line)
                rows[key] = row
    yield from rows.values()


def _identity(path: Path, line: bytes) -> dict[str, Any]:
    entry = _entry(path, 1, line)
    if not isinstance(entry.get("run"), dict):
        raise ValueError(f"{path} is not the record of a run (line 1 does not tell what it asked); give another one")
    identity: dict[str, Any] = entry["run"]
    return identity


def _row(path: Path, number: int, line: bytes) -> tuple[str, SampleResult]:
    entry = _entry(path, number, line)
    key, row = entry.get("key"), entry.get("row")
    if not isinstance(key, str) or not isinstance(row, dict):
        raise _odd(path, number, "no row under a key")
    try:
        return key, SampleResult.model_validate(row)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise _odd(path, number, f"a row of another version, its {where}: {first['msg']}") from error


def _entry(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested without end
        raise _odd(path, number, str(error)) from error
    if not isinstance(entry, dict):
        raise _odd(path, number, "no JSON object")
    return entry


def _odd(path: Path, number: int, why: str) -> ValueError:
    return ValueError(
        f"{path} is not the record of a run, or is damaged: line {number} is odd ({why[:300]}). Take that line out and its "
        f"question is asked again, or give another resume_path."
    )
