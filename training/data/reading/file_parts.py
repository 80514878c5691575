"""Parts of files, which processes read independently."""

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.storage.text_files import is_plain, utf8_blocks
from gpt_from_scratch.training.data.source import Document, LeftOut, Source

PIECE_BYTES = 1 << 25
"""Approximate bytes of a file in one piece. Even a slow tokenizer needs only minutes, so a lost process costs little."""


@dataclass(frozen=True)
class FilePart:
    """Bytes `start` to `stop` of a file."""

    path: Path
    start: int
    stop: int
    split: str = ""


class FilePartSource(Source):
    """Source of file parts; each part is a piece."""

    kind: str
    parts: Sequence[FilePart]

    def describe(self) -> dict[str, Any]:
        parts = [[str(part.path), part.start, part.stop, part.split] for part in self.parts]
        return {"kind": self.kind, **self.settings(), "parts": parts}

    def settings(self) -> dict[str, Any]:
        """Other settings that determine the content of the pieces."""
        return {}

    def files(self, n_pieces: int) -> list[Path]:
        return list(dict.fromkeys(part.path for part in self.parts[:n_pieces]))

    @property
    def n_pieces(self) -> int:
        return len(self.parts)

    def documents(self, piece: int) -> Iterator[Document | LeftOut]:
        return self.documents_of(self.parts[piece])

    @abstractmethod
    def documents_of(self, part: FilePart) -> Iterator[Document | LeftOut]:
        """The documents of a part, in order."""


def cut(path: Path, place: int, end: int) -> int:
    """Position at or soon after `place` (1 or more) where a cut does not change the tokens.

    It is after a single line feed between visible ASCII and a letter, since none of our split patterns has a word across
    it. If a megabyte has no such place, the cut is between any two characters.
    """
    if place >= end:
        return end
    start = place - 1
    window = read_part(path, start, min(end, place + (1 << 20)))
    if found := re.search(rb"[!-~]\n(?=[A-Za-z])", window):
        return start + found.end()
    while place < end and window[place - start] & 0xC0 == 0x80:  # inside a character
        place += 1
    return place


def text_size(path: Path) -> int:
    """Size of a file's text in UTF-8, in bytes."""
    return path.stat().st_size if is_plain(path) else sum(map(len, utf8_blocks(path)))


def read_part(path: Path, start: int, stop: int) -> bytes:
    """Bytes `start` to `stop` of a file's text in UTF-8. A compressed file or one in UTF-16 is read from its beginning."""
    if is_plain(path):
        with path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)
    found, place = bytearray(), 0
    for block in utf8_blocks(path):
        found += block[max(0, start - place) : max(0, stop - place)]
        place += len(block)
        if place >= stop:
            break
    return bytes(found)
