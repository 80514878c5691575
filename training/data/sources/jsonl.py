"""JSON lines: files with one object a line, each with a text."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.storage.text_files import SUFFIXES, encoding_of, is_plain, named_damage, open_text_bytes
from gpt_from_scratch.training.data.reading.file_parts import PIECE_BYTES, FilePart, FilePartSource
from gpt_from_scratch.training.data.reading.rows import document, json_row
from gpt_from_scratch.training.data.source import Asked, Document, LeftOut, PreparedSource, Source


class JsonlSource(FilePartSource):
    """The lines of files of JSON; a piece is about 32 MB of them, or a packed file."""

    kind = "jsonl"

    def __init__(
        self, files: Sequence[Path], field: str, validation_fraction: float, piece_bytes: int = PIECE_BYTES
    ) -> None:
        self.field, self.validation_fraction = field, validation_fraction
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
                self.parts.append(FilePart(file, 0, sys.maxsize))  # packed: only its beginning can be found quickly

    def settings(self) -> dict[str, Any]:
        return {"field": self.field}

    def documents_of(self, part: FilePart) -> Iterator[Document | LeftOut]:
        """The lines that begin in this part; the last of them may end in the next."""
        with named_damage(part.path), open_text_bytes(part.path) as file:
            if part.start:
                file.seek(part.start - 1)
                file.readline()  # what began before
            while (offset := file.tell()) < part.stop and (line := file.readline()):
                if line.strip():
                    where = f"{part.path}, the line at byte {offset:,}"
                    yield document(json_row(line, where), self.field, where, self.validation_fraction)


class JsonLines(PreparedSource):
    """*.jsonl and *.ndjson."""

    name = "JSON lines"
    about = "*.jsonl files, each line an object with a text"
    suffixes = tuple(f"{plain}{packed}" for plain in (".jsonl", ".ndjson") for packed in ("", *SUFFIXES))

    def open(self, asked: Asked, files: Sequence[Path]) -> Source:
        return JsonlSource(files, asked.field, asked.validation_fraction)


PREPARED = JsonLines()
