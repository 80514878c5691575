"""Parts of files, which processes read apart from each other."""

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.storage.text_files import is_plain, utf8_blocks
from gpt_from_scratch.training.data.source import Document, LeftOut, Source

PIECE_BYTES = 1 << 25
"""How much of a file one piece holds, about: minutes at most for a slow tokenizer, so little is lost with a process."""


@dataclass(frozen=True)
class FilePart:
    """Bytes `start` to `stop` of a file."""

    path: Path
    start: int
    stop: int
    split: str = ""


class FilePartSource(Source):
    """Files in parts, a piece each."""

    kind: str
    parts: Sequence[FilePart]

    def describe(self) -> dict[str, Any]:
        parts = [[str(part.path), part.start, part.stop, part.split] for part in self.parts]
        return {"kind": self.kind, **self.settings(), "parts": parts}

    def settings(self) -> dict[str, Any]:
        """What else decides what the pieces hold."""
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
    """Where to cut a text at `place` (1 or more) or soon after, so that its parts have the tokens of the whole.

    Behind a single line feed between visible ASCII and a letter: no split pattern of ours has a word across it. Where a
    megabyte has none, between two characters.
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
    """Bytes of a file's text in UTF-8."""
    return path.stat().st_size if is_plain(path) else sum(map(len, utf8_blocks(path)))


def read_part(path: Path, start: int, stop: int) -> bytes:
    """Bytes `start` to `stop` of a file's text in UTF-8. A file that is packed or in UTF-16 is read from its beginning."""
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
