"""JSON lines: files with one object a line, each with a text."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.storage.text_files import SUFFIXES, encoding_of, is_plain, named_damage, open_text_bytes
from gpt_from_scratch.training.data.reading.file_parts import PIECE_BYTES, FilePart, FilePartSource
from gpt_from_scratch.training.data.reading.rows import Rows, json_row
from gpt_from_scratch.training.data.source import Document, LeftOut, PreparedSource, Source, SourceRequest


class JsonlSource(FilePartSource):
    """Source of JSON lines. A piece is about 32 MB of lines, or a whole compressed file."""

    kind = "jsonl"

    def __init__(self, files: Sequence[Path], asked: SourceRequest, piece_bytes: int = PIECE_BYTES) -> None:
        self.rows = Rows(asked)
        self.parts: list[FilePart] = []
        for file in files:
            with open_text_bytes(file) as opened:
                if not (encoding := encoding_of(opened.read(4))).startswith("utf-8"):
                    raise ValueError(f"{file} is in {encoding.upper()}: JSON lines are UTF-8; convert them first")
            if is_plain(file):
                size = file.stat().st_size
                self.parts += [
                    FilePart(file, start, min(start + piece_bytes, size)) for start in range(0, size, piece_bytes)
                ]
            else:
                self.parts.append(FilePart(file, 0, sys.maxsize))  # compressed: only its start can be reached quickly
        self.field = self.rows.field or self._found_field()

    def settings(self) -> dict[str, Any]:
        return self.rows.describe(self.field)

    def documents_of(self, part: FilePart) -> Iterator[Document | LeftOut]:
        """The lines that start in this part; the last one may end in the next part."""
        with named_damage(part.path), open_text_bytes(part.path) as file:
            if part.start:
                file.seek(part.start - 1)
                file.readline()  # the rest of a line that starts earlier
            while (offset := file.tell()) < part.stop and (line := file.readline()):
                if line.strip():
                    where = f"{part.path}, the line at byte {offset:,}"
                    row = json_row(line, where)
                    yield row if isinstance(row, LeftOut) else self.rows.document(row, self.field, where)

    def _found_field(self) -> str:
        """The text field, detected in the first line that is an object."""
        for part in self.parts:
            with named_damage(part.path), open_text_bytes(part.path) as file:
                for number, line in enumerate(file, 1):
                    where = f"{part.path}, line {number}"
                    if line.strip() and not isinstance(row := json_row(line, where), LeftOut):
                        texts = [name for name, value in row.items() if isinstance(value, str)]
                        return "text" if self.rows.map else self.rows.field_among(list(row), texts, where)
        return "text"


class JsonLines(PreparedSource):
    """*.jsonl and *.ndjson."""

    name = "JSON lines"
    about = "*.jsonl files with one object per line and a text field"
    suffixes = tuple(f"{plain}{packed}" for plain in (".jsonl", ".ndjson") for packed in ("", *SUFFIXES))

    def open(self, asked: SourceRequest, files: Sequence[Path]) -> Source:
        return JsonlSource(files, asked)


PREPARED = JsonLines()
