"""Data source `arrow`: Feather, Arrow IPC, and the stream files of `datasets`, with a text column. Needs pyarrow."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gpt_from_scratch.training.data.reading.tables import ROWS_AT_ONCE, TableSource, pyarrow_for
from gpt_from_scratch.training.data.source import PreparedSource, Source, SourceRequest

MAGIC = b"ARROW1"


class ArrowSource(TableSource):
    """Source of Arrow files. A piece is a record batch, or a whole stream, which can only be read from its start."""

    kind = "arrow"
    part = "batch"

    def opened(self, file: Path) -> tuple[Any, int]:
        reader = _arrow(file)
        return reader.schema, getattr(reader, "num_record_batches", 1)

    def batches(self, file: Path, part: int, columns: list[str] | None) -> Iterator[Any]:
        reader = _arrow(file)
        for batch in [reader.get_batch(part)] if hasattr(reader, "get_batch") else reader:
            chosen = batch if columns is None else batch.select(columns)
            for start in range(0, chosen.num_rows, ROWS_AT_ONCE):
                yield chosen.slice(start, ROWS_AT_ONCE)


class Arrow(PreparedSource):
    """*.arrow and *.feather."""

    name = "Arrow"
    about = "*.arrow files with a text column"
    suffixes = (".arrow", ".feather")

    def open(self, asked: SourceRequest, files: Sequence[Path]) -> Source:
        return ArrowSource(files, asked)


PREPARED = Arrow()


def _arrow(path: Path) -> Any:
    pyarrow = pyarrow_for(path)
    with path.open("rb") as file:
        is_file = file.read(len(MAGIC)) == MAGIC
    try:
        mapped = pyarrow.memory_map(str(path))
        return pyarrow.ipc.open_file(mapped) if is_file else pyarrow.ipc.open_stream(mapped)
    except (pyarrow.ArrowInvalid, EOFError) as error:
        raise ValueError(f"{path} is not an Arrow file, or damaged: {error}") from error
