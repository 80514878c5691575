"""Readers of Apache Arrow files: tables with a text column, in parts that can be read independently. Needs pyarrow."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.training.data.reading.rows import Rows
from gpt_from_scratch.training.data.source import Document, LeftOut, Source, SourceRequest

ROWS_AT_ONCE = 1000


class TableSource(Source):
    """Source of tables. A piece is a part of one: a row group of Parquet, or a record batch of Arrow."""

    kind: str
    part: str
    """Name of a part, for messages."""

    def __init__(self, files: Sequence[Path], asked: SourceRequest) -> None:
        self.rows = Rows(asked)
        self.groups: list[tuple[Path, int]] = []
        self.fields: dict[Path, str] = {}
        for file in files:
            with named(str(file)):
                schema, count = self.opened(file)
            texts = [column.name for column in schema if str(column.type) in ("string", "large_string", "string_view")]
            if self.rows.map is None:
                self.fields[file] = self.rows.field_among(schema.names, texts, str(file))
            self.groups += [(file, group) for group in range(count)]

    @abstractmethod
    def opened(self, file: Path) -> tuple[Any, int]:
        """The schema of a file, and its number of parts."""

    @abstractmethod
    def batches(self, file: Path, part: int, columns: list[str] | None) -> Iterator[Any]:
        """A part of a file as record batches, with some or all columns."""

    def describe(self) -> dict[str, Any]:
        groups = [[str(file), group] for file, group in self.groups]
        fields = sorted(set(self.fields.values()))
        return {
            "kind": self.kind,
            **self.rows.describe(fields[0] if len(fields) == 1 else str(fields)),
            "groups": groups,
        }

    def files(self, n_pieces: int) -> list[Path]:
        return list(dict.fromkeys(file for file, _ in self.groups[:n_pieces]))

    @property
    def n_pieces(self) -> int:
        return len(self.groups)

    def documents(self, piece: int) -> Iterator[Document | LeftOut]:
        file, group = self.groups[piece]
        field = self.fields.get(file, "")
        place = 0
        with named(f"{file}, {self.part} {group}"):
            for batch in self.batches(file, group, [field] if field else None):
                for row in batch.to_pylist():
                    yield self.rows.document(row, field, f"{file}, {self.part} {group}, row {place}")
                    place += 1


def pyarrow_for(path: Path) -> Any:
    """Import pyarrow. Raises RuntimeError with the install command if it is missing."""
    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise RuntimeError(f"{path} needs the package pyarrow: {how_to_install('data')}") from error
    return pyarrow


@contextmanager
def named(where: str) -> Iterator[None]:
    """Convert pyarrow's errors to a ValueError that names the place."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and not isinstance(error, ValueError):
            raise
        raise ValueError(_damage(where, error)) from error
    except Exception as error:
        if not type(error).__module__.startswith("pyarrow"):
            raise
        raise ValueError(_damage(where, error)) from error


def _damage(where: str, error: Exception) -> str:
    return f"{where} cannot be read: {error}. The file is damaged or has changed: copy it again"
