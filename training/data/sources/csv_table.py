"""CSV files (and TSV) with a line of names and a column of texts."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.storage.text_files import SUFFIXES, named_damage, open_text_bytes
from gpt_from_scratch.training.data.reading.rows import Rows
from gpt_from_scratch.training.data.source import Document, LeftOut, PreparedSource, Source, SourceRequest

LONGEST_CELL = 1 << 30
"""Maximum number of characters in a cell; the csv module's default, 131,072, is too small for documents."""


class CsvSource(Source):
    """Source of CSV files. A piece is a whole file, since a quoted text may contain line ends."""

    def __init__(self, files: Sequence[Path], asked: SourceRequest) -> None:
        self.rows, self.paths = Rows(asked), list(files)
        self.fields: list[str] = []
        for file in files:
            first = next(_read(file), None)
            names = list(first[1]) if first is not None and isinstance(first[1], dict) else []
            if first is None:
                self.fields.append(self.rows.field or "text")
            else:
                texts = [name for name in names if name is not None]
                self.fields.append("" if self.rows.map else self.rows.field_among(texts, texts, str(file)))

    def describe(self) -> dict[str, Any]:
        files = [[str(file), field] for file, field in zip(self.paths, self.fields, strict=True)]
        return {"kind": "csv", **self.rows.describe(self.rows.field), "files": files}

    def files(self, n_pieces: int) -> list[Path]:
        return self.paths[:n_pieces]

    @property
    def n_pieces(self) -> int:
        return len(self.paths)

    def documents(self, piece: int) -> Iterator[Document | LeftOut]:
        file, field = self.paths[piece], self.fields[piece]
        for line, row in _read(file):
            where = f"{file}, the row that ends at line {line}"
            if isinstance(row, str):
                yield LeftOut(where, f"{where} {row}", broken=True)
            else:
                yield self.rows.document(row, field, where)


class Csv(PreparedSource):
    """*.csv and *.tsv."""

    name = "CSV"
    about = "*.csv and *.tsv files with a header line and a text column"
    suffixes = tuple(f"{plain}{packed}" for plain in (".csv", ".tsv") for packed in ("", *SUFFIXES))

    def open(self, asked: SourceRequest, files: Sequence[Path]) -> Source:
        return CsvSource(files, asked)


PREPARED = Csv()


def _text(file: io.BufferedIOBase) -> io.TextIOWrapper:
    wrapped: Any = file  # typeshed asks for more than TextIOWrapper does
    return io.TextIOWrapper(wrapped, "utf-8-sig", newline="")


def _read(path: Path) -> Iterator[tuple[int, dict[str, str] | str]]:
    """For each row, its last line's number, and its cells by name or the error in it."""
    csv.field_size_limit(LONGEST_CELL)
    delimiter = "\t" if ".tsv" in path.name.lower() else ","
    with named_damage(path), open_text_bytes(path) as file, _text(file) as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        names: list[str] | None = None
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield reader.line_num, f"is not CSV: {error}"
                continue
            except UnicodeDecodeError as error:
                raise ValueError(f"{path} is not UTF-8 text near line {reader.line_num}: {error.reason}") from None
            if cells is None:
                return
            if not cells:
                continue
            if names is None:
                names = cells
            elif len(cells) != len(names):
                yield reader.line_num, f"has {len(cells)} cells, expected {len(names)} as in the line of names"
            else:
                yield reader.line_num, dict(zip(names, cells, strict=True))
