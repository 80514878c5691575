"""Parquet files with a column of texts. Needs pyarrow."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.training.data.reading.rows import document, known_fields
from gpt_from_scratch.training.data.source import Asked, Document, LeftOut, PreparedSource, Source


class ParquetSource(Source):
    """A column of Parquet files; a piece is a row group."""

    def __init__(self, files: Sequence[Path], field: str, validation_fraction: float) -> None:
        self.field, self.validation_fraction = field, validation_fraction
        self.groups: list[tuple[Path, int]] = []
        for file in files:
            opened = _parquet(file)
            if field not in (names := opened.schema_arrow.names):
                raise ValueError(f"{file} has no column {field!r}. {known_fields(field, names)}")
            self.groups += [(file, group) for group in range(opened.metadata.num_row_groups)]

    def describe(self) -> dict[str, Any]:
        groups = [[str(file), group] for file, group in self.groups]
        return {"kind": "parquet", "field": self.field, "groups": groups}

    def files(self, n_pieces: int) -> list[Path]:
        return list(dict.fromkeys(file for file, _ in self.groups[:n_pieces]))

    @property
    def n_pieces(self) -> int:
        return len(self.groups)

    def documents(self, piece: int) -> Iterator[Document | LeftOut]:
        file, group = self.groups[piece]
        where = f"{file}, row group {group}"
        with _named(where):
            for batch in _parquet(file).iter_batches(batch_size=1000, row_groups=[group], columns=[self.field]):
                for text in batch.column(0).to_pylist():
                    yield document({self.field: text}, self.field, where, self.validation_fraction)


class Parquet(PreparedSource):
    """*.parquet."""

    name = "Parquet"
    about = "*.parquet files with a column of texts"
    suffixes = (".parquet",)

    def open(self, asked: Asked, files: Sequence[Path]) -> Source:
        return ParquetSource(files, asked.field, asked.validation_fraction)


PREPARED = Parquet()


def _parquet(path: Path) -> Any:
    try:
        from pyarrow import ArrowInvalid  # type: ignore[import-untyped]
        from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]
    except ImportError as error:
        raise RuntimeError(f"{path} needs the package pyarrow: {how_to_install('data')}") from error
    try:
        return ParquetFile(path)
    except ArrowInvalid as error:
        raise ValueError(f"{path} is not a Parquet file, or damaged: {error}") from error


@contextmanager
def _named(where: str) -> Iterator[None]:
    """pyarrow's errors as a ValueError that says where."""
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, OSError) as error:
        raise ValueError(
            f"{where} cannot be read: {error}. The file is damaged, or was changed: copy it again"
        ) from error
