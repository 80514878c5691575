"""Where `prepare` finds text: files, folders, JSONL, Parquet, and data sets of the Hugging Face hub, read as a stream.

A source is divided into pieces. Each piece is read by one process, gives the same documents at every reading, and can be
read again after a failure without the others: that is what makes `prepare` parallel and restartable.
"""

import difflib
import hashlib
import json
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.support.storage.downloads import reason
from gpt_from_scratch.support.storage.text_files import (
    SUFFIXES,
    encoding_of,
    is_plain,
    named_damage,
    not_decodable,
    open_text_bytes,
    require_no_json,
    utf8_blocks,
)
from gpt_from_scratch.training.data.sources.text import text_files

JSON_LINES = tuple(f"{plain}{packed}" for plain in (".jsonl", ".ndjson") for packed in ("", *SUFFIXES))
PIECE_BYTES = 1 << 25
"""How much of a file one piece holds, about: minutes at most for a slow tokenizer, so little is lost with a process."""
SPLITS = ("train", "validation")


@dataclass(frozen=True)
class Document:
    """Text that belongs together, or a part of it."""

    split: str
    text: str
    begins: bool = True
    """False: goes on where the document before it ended."""


@dataclass(frozen=True)
class LeftOut:
    """A row that holds no text."""

    where: str


class Source(ABC):
    """Text in pieces. Instances are sent to other processes."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What it is, as JSON: equal as long as the pieces are and `files` hold what they held."""

    def files(self, n_pieces: int) -> list[Path]:
        """The files of this machine that its first pieces are read from."""
        return []

    @property
    @abstractmethod
    def n_pieces(self) -> int: ...

    @abstractmethod
    def documents(self, piece: int) -> Iterator[Document | LeftOut]:
        """The documents of one piece, in order, and rows without one. Raises ValueError that names a wrong file and place."""


@dataclass(frozen=True)
class FilePart:
    """Bytes `start` to `stop` of a file."""

    path: Path
    start: int
    stop: int
    split: str = ""


class TextSource(Source):
    """A UTF-8 file, or the *.txt and *.md files of a folder: each is a document, and the last part is for validation."""

    def __init__(self, path: Path, validation_fraction: float, piece_bytes: int = PIECE_BYTES) -> None:
        self.path = path
        self.parts: list[FilePart] = []
        files = text_files(path)
        for file in files:
            require_no_json(file)
        sizes = [_size(file) for file in files]
        if sum(sizes) == 0:
            raise ValueError(f"{path} is empty: there is no text in it to train on")
        left = int((1 - validation_fraction) * sum(sizes))
        for file, size in zip(files, sizes, strict=True):
            border = size if left >= size else _cut(file, left, size) if left else 0
            left = max(0, left - size)
            for split, begin, end in (("train", 0, border), ("validation", border, size)):
                while begin < end:
                    stop = _cut(file, begin + piece_bytes, end)
                    self.parts.append(FilePart(file, begin, stop, split))
                    begin = stop

    def describe(self) -> dict[str, Any]:
        return {"kind": "text", "path": str(self.path), "parts": _described(self.parts)}

    def files(self, n_pieces: int) -> list[Path]:
        return list(dict.fromkeys(part.path for part in self.parts[:n_pieces]))

    @property
    def n_pieces(self) -> int:
        return len(self.parts)

    def documents(self, piece: int) -> Iterator[Document]:
        part = self.parts[piece]
        try:
            text = _read(part.path, part.start, part.stop).decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(not_decodable(part.path, error, part.start)) from None
        yield Document(part.split, text if part.start else text.removeprefix("\ufeff"), begins=part.start == 0)


class JsonlSource(Source):
    """Files with one JSON object a line, each with a text."""

    def __init__(
        self, files: list[Path], field: str, validation_fraction: float, piece_bytes: int = PIECE_BYTES
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

    def describe(self) -> dict[str, Any]:
        return {"kind": "jsonl", "field": self.field, "parts": _described(self.parts)}

    def files(self, n_pieces: int) -> list[Path]:
        return list(dict.fromkeys(part.path for part in self.parts[:n_pieces]))

    @property
    def n_pieces(self) -> int:
        return len(self.parts)

    def documents(self, piece: int) -> Iterator[Document | LeftOut]:
        """The lines that begin in this piece; the last of them may end in the next."""
        part = self.parts[piece]
        with named_damage(part.path), open_text_bytes(part.path) as file:
            if part.start:
                file.seek(part.start - 1)
                file.readline()  # what began before
            while (offset := file.tell()) < part.stop and (line := file.readline()):
                if line.strip():
                    where = f"{part.path}, the line at byte {offset:,}"
                    yield _document(_json(line, where), self.field, where, self.validation_fraction)


class ParquetSource(Source):
    """Parquet files with a column of texts; a piece is a row group. Needs pyarrow."""

    def __init__(self, files: list[Path], field: str, validation_fraction: float) -> None:
        self.field, self.validation_fraction = field, validation_fraction
        self.groups: list[tuple[Path, int]] = []
        for file in files:
            opened = _parquet(file)
            if field not in (names := opened.schema_arrow.names):
                raise ValueError(f"{file} has no column {field!r}. {_known(field, names)}")
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
                    yield _document({self.field: text}, self.field, where, self.validation_fraction)


@dataclass(frozen=True)
class HubName:
    """A data set on the Hugging Face hub."""

    path: str
    config: str | None = None
    validation: str | None = None
    """The hub's split for validation; None: a part of the training split."""


HUB = {
    "tinystories": HubName("roneneldan/TinyStories", validation="validation"),
    "fineweb-edu": HubName("HuggingFaceFW/fineweb-edu", "sample-10BT"),
}

HUB_SECONDS = 10.0
"""How long the hub may take to say whether it has a data set."""

STORIES = "stories"


class HubSource(Source):
    """A data set read as a stream with `datasets`: nothing is kept but the tokens. A piece is one of its files."""

    def __init__(self, name: HubName, field: str, validation_fraction: float, **options: Any) -> None:
        """`options` go to `datasets.load_dataset`."""
        self.name, self.field, self.validation_fraction, self.options = name, field, validation_fraction, options
        splits = ["train"] if name.validation is None else ["train", name.validation]
        self.pieces = [
            (split, n, index) for split in splits for n in [self._stream(split).num_shards] for index in range(n)
        ]

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "hub",
            "path": self.name.path,
            "config": self.name.config,
            "field": self.field,
            "pieces": self.pieces,
        }

    @property
    def n_pieces(self) -> int:
        return len(self.pieces)

    def documents(self, piece: int) -> Iterator[Document | LeftOut]:
        split, n, index = self.pieces[piece]
        where = f"{self.name.path}, split {split}, file {index} of {n}"
        with _from_hub(where):
            rows = iter(self._stream(split).shard(num_shards=n, index=index))
        while True:
            with _from_hub(where):
                row = next(rows, None)
            if row is None:
                return
            made = _document(row, self.field, where, self.validation_fraction)
            if self.name.validation is not None and isinstance(made, Document):
                made = replace(made, split="train" if split == "train" else "validation")
            yield made

    def _stream(self, split: str) -> Any:
        try:
            from datasets import load_dataset  # type: ignore[import-untyped]
        except ImportError as error:
            raise RuntimeError(
                f"{self.name.path} is streamed with the package datasets: {how_to_install('data')}"
            ) from error
        with _from_hub(self.name.path):
            return load_dataset(self.name.path, self.name.config, split=split, streaming=True, **self.options)


def require_hub(name: HubName) -> None:
    """Ask the hub for a data set once, before `datasets` asks for half a minute and prints each try.

    Raises:
        RuntimeError: the hub cannot be reached, or does not give it; or the package that asks is missing.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise RuntimeError(f"{name.path} is on the Hugging Face hub: {how_to_install('data')}") from error
    with _from_hub(name.path):
        HfApi().dataset_info(name.path, timeout=HUB_SECONDS)


@contextmanager
def _from_hub(what: str) -> Iterator[None]:
    """Errors of the hub's libraries as a RuntimeError that says what was asked for."""
    try:
        yield
    except Exception as error:  # of whichever HTTP library they use in the version at hand
        raise RuntimeError(
            f"the Hugging Face hub did not give {what}: {reason(error)}.\n"
            "Try again with a network; what has been made is kept. Or prepare text of your own: a file or a folder"
        ) from error


def open_source(source: str, field: str, validation_fraction: float) -> Source:
    """The source that a person names: `STORIES`, one of `HUB`, a file, or a folder of files of one kind.

    Raises:
        FileNotFoundError, ValueError: there is no such thing, or it holds no text; says what would be understood.
    """
    if source == STORIES:
        from gpt_from_scratch.training.data.sources.stories import StorySource

        return StorySource()
    if source in HUB:
        require_hub(HUB[source])
        return HubSource(HUB[source], field, validation_fraction)
    path = Path(source)
    names = [STORIES, *HUB]
    if not path.exists() and (near := difflib.get_close_matches(source, names, n=1)):
        raise FileNotFoundError(f"no file or folder {source!r}, and no data set of that name. Did you mean {near[0]}?")
    for suffixes, kind in ((JSON_LINES, JsonlSource), ((".parquet",), ParquetSource)):
        files = [path] if path.is_file() else sorted(path.iterdir()) if path.is_dir() else []
        named = [file for file in files if file.name.lower().endswith(suffixes) and not file.name.startswith(".")]
        if named := [file for file in named if file.is_file()]:
            return kind(named, field, validation_fraction)
    try:
        return TextSource(path, validation_fraction)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error}\nA source is a text file, a folder of *.txt and *.md, *.jsonl or *.parquet files, or {', '.join(names)}."
        ) from None


def _cut(path: Path, place: int, end: int) -> int:
    """Where to cut a text at `place` (1 or more) or soon after, so that its parts have the tokens of the whole.

    Behind a single line feed between visible ASCII and a letter: no split pattern of ours has a word across it. Where a
    megabyte has none, between two characters.
    """
    if place >= end:
        return end
    start = place - 1
    window = _read(path, start, min(end, place + (1 << 20)))
    if found := re.search(rb"[!-~]\n(?=[A-Za-z])", window):
        return start + found.end()
    while place < end and window[place - start] & 0xC0 == 0x80:  # inside a character
        place += 1
    return place


def _size(path: Path) -> int:
    """Bytes of a file's text in UTF-8."""
    return path.stat().st_size if is_plain(path) else sum(map(len, utf8_blocks(path)))


def _read(path: Path, start: int, stop: int) -> bytes:
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


def _described(parts: list[FilePart]) -> list[list[Any]]:
    return [[str(part.path), part.start, part.stop, part.split] for part in parts]


def _of_split(text: str, validation_fraction: float) -> Document:
    """By the text's own hash: the same on any number of processes, and equal texts are never on both sides."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return Document("validation" if int.from_bytes(digest) < validation_fraction * 2**64 else "train", text)


def _json(line: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{where} holds a {type(value).__name__}, expected an object with a text")
    return value


def _document(row: dict[str, Any], field: str, where: str, validation_fraction: float) -> Document | LeftOut:
    """The text of a row; a row whose text is null has none."""
    if field not in row:
        raise ValueError(f"{where} has no field {field!r}. {_known(field, list(row))}")
    text = row[field]
    if text is None:
        return LeftOut(where)
    if not isinstance(text, str):
        raise ValueError(f"{where}: the field {field!r} holds {type(text).__name__}, expected text")
    return _of_split(text, validation_fraction)


def _known(field: str, names: list[str]) -> str:
    near = difflib.get_close_matches(field, names, n=1)
    guess = f" Did you mean --field {near[0]}?" if near else ""
    return f"It has {', '.join(map(repr, names)) or 'none'}; --field says which to take.{guess}"


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
