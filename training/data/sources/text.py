"""Data source `text`: your own file, or the *.txt and *.md files of a folder."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.storage.downloads import Progress
from gpt_from_scratch.support.storage.file_kinds import not_decodable
from gpt_from_scratch.support.storage.text_files import require_no_json
from gpt_from_scratch.training.data.reading.file_parts import (
    PIECE_BYTES,
    FilePart,
    FilePartSource,
    cut,
    read_part,
    text_size,
)
from gpt_from_scratch.training.data.reading.texts import FOLDER_NAMES, read_texts, split_for_a_run, text_files
from gpt_from_scratch.training.data.source import (
    DataSettings,
    Document,
    LiveSource,
    PreparedSource,
    Source,
    SourceRequest,
    Texts,
)


class LiveText(LiveSource):
    """The live source of the user's text."""

    name = "text"
    about = "the UTF-8 file or folder at `path` (*.txt, *.md)"
    path = "needed"
    running_text = True

    def read(self, settings: DataSettings, *, progress: Progress | None = None) -> Texts:
        assert settings.path is not None
        return split_for_a_run(read_texts(settings.path), settings.validation_fraction)


class TextSource(FilePartSource):
    """Source of text files: each is a document, and the last part of all is for validation. A piece is about 32 MB."""

    kind = "text"

    def __init__(
        self,
        path: Path,
        validation_fraction: float,
        piece_bytes: int = PIECE_BYTES,
        files: Sequence[Path] | None = None,
    ) -> None:
        """`files`: the files to read; default: all of `path`."""
        self.path = path
        self.parts: list[FilePart] = []
        files = text_files(path) if files is None else files
        for file in files:
            require_no_json(file)
        sizes = [text_size(file) for file in files]
        if sum(sizes) == 0:
            raise ValueError(f"{path} is empty: there is no text in it to train on")
        left = int((1 - validation_fraction) * sum(sizes))
        for file, size in zip(files, sizes, strict=True):
            border = size if left >= size else cut(file, left, size) if left else 0
            left = max(0, left - size)
            for split, begin, end in (("train", 0, border), ("validation", border, size)):
                while begin < end:
                    stop = cut(file, begin + piece_bytes, end)
                    self.parts.append(FilePart(file, begin, stop, split))
                    begin = stop

    def settings(self) -> dict[str, Any]:
        return {"path": str(self.path)}

    def documents_of(self, part: FilePart) -> Iterator[Document]:
        try:
            text = read_part(part.path, part.start, part.stop).decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(not_decodable(part.path, error, part.start)) from None
        yield Document(part.split, text if part.start else text.removeprefix("\ufeff"), begins=part.start == 0)


class PreparedText(PreparedSource):
    """The prepared source: a text file with any name, or a folder's *.txt and *.md files."""

    name = "text"
    about = "a text file, a folder of *.txt and *.md files"
    suffixes = FOLDER_NAMES

    def open(self, asked: SourceRequest, files: Sequence[Path]) -> Source:
        path = Path(asked.source)  # a glob pattern or an address is no local path: use the files that were found
        return TextSource(path, asked.validation_fraction, files=None if path.exists() or not files else files)


LIVE = LiveText()
PREPARED = PreparedText()
