"""Parquet files with a column of texts. Needs pyarrow."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gpt_from_scratch.training.data.reading.tables import ROWS_AT_ONCE, TableSource, pyarrow_for
from gpt_from_scratch.training.data.source import PreparedSource, Source, SourceRequest


class ParquetSource(TableSource):
    """Parquet files; a piece is a row group."""

    kind = "parquet"
    part = "row group"

    def opened(self, file: Path) -> tuple[Any, int]:
        opened = _parquet(file)
        return opened.schema_arrow, opened.metadata.num_row_groups

    def batches(self, file: Path, part: int, columns: list[str] | None) -> Iterator[Any]:
        yield from _parquet(file).iter_batches(batch_size=ROWS_AT_ONCE, row_groups=[part], columns=columns)


class Parquet(PreparedSource):
    """*.parquet."""

    name = "Parquet"
    about = "*.parquet files with a text column"
    suffixes = (".parquet",)

    def open(self, asked: SourceRequest, files: Sequence[Path]) -> Source:
        return ParquetSource(files, asked)


PREPARED = Parquet()


def _parquet(path: Path) -> Any:
    pyarrow = pyarrow_for(path)
    try:
        return pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{path} is not a Parquet file, or damaged: {error}") from error
