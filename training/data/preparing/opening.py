"""Opening of `prepare`'s source: a known name, local files, files at an address, or a data set of the hub."""

import difflib
import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.storage.text_files import files_below
from gpt_from_scratch.training.data.reading.hub import hub_name, open_hub
from gpt_from_scratch.training.data.reading.remote import OpenLocal, RemoteSource, find, is_remote
from gpt_from_scratch.training.data.reading.rows import Rows
from gpt_from_scratch.training.data.registry import NAMED, OF_PATHS, PREPARED, prepared_sources
from gpt_from_scratch.training.data.source import PreparedSource, Source, SourceRequest


def open_source(asked: SourceRequest) -> Source:
    """Open the requested source.

    Raises:
        FileNotFoundError, ValueError: there is no such source, or it holds no text; the message lists the sources.
        RuntimeError: it cannot be reached, or a package that reads it is missing.
    """
    if asked.source in NAMED:
        return PREPARED[asked.source].open(asked, ())
    if is_remote(asked.source):
        files = find(asked.source)
        kinds = [kind_of(file.address.partition("?")[0]) for file in files]
        wanted = _one_kind(kinds, asked.source)
        chosen = [file for file, kind in zip(files, kinds, strict=True) if kind is wanted]
        return RemoteSource(chosen, _OpenLocal(asked, wanted.name))
    path = Path(asked.source)
    if path.exists() or path.is_symlink():
        return _open_files(asked, [path] if path.is_file() else sorted(files_below(path)) if path.is_dir() else [])
    if matching := sorted(Path(found) for found in glob.glob(asked.source, recursive=True)):  # noqa: PTH207  (it may be absolute)
        return _open_files(asked, [found for found in matching if found.is_file()])
    if near := difflib.get_close_matches(asked.source, NAMED, n=1):
        raise FileNotFoundError(
            f"no file or folder {asked.source!r}, and no data set of that name. Did you mean {near[0]}?"
        )
    if (name := hub_name(asked.source)) is not None and not path.parent.exists():
        return open_hub(name, asked)
    return _open_files(asked, [])


def kind_of(name: str) -> PreparedSource:
    """The source that reads a file with this name; plain text if no other does."""
    others = [source for source in PREPARED.values() if source.suffixes and source.name != OF_PATHS]
    return next((source for source in others if name.lower().endswith(source.suffixes)), PREPARED[OF_PATHS])


def _open_files(asked: SourceRequest, files: Sequence[Path]) -> Source:
    """Open files of one kind. In a folder of row files (such as JSON lines) text files, such as a README.md, are
    ignored.
    """
    kinds = [kind_of(file.name) for file in files]
    wanted = _one_kind(kinds, asked.source)
    if wanted.name != OF_PATHS:
        return wanted.open(asked, [file for file, kind in zip(files, kinds, strict=True) if kind is wanted])
    for option, value in (("--map", asked.map), ("--filter", asked.filter)):
        if value is not None:
            raise ValueError(f"{option} is for rows, but {asked.source} is text: convert it to JSON lines first")
    try:
        return wanted.open(asked, files)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}\nA source is {prepared_sources()}.") from None


def _one_kind(kinds: Sequence[PreparedSource], source: str) -> PreparedSource:
    """The kind of files to read. Raises ValueError if there are two kinds of row files."""
    rows = sorted({kind.name for kind in kinds} - {OF_PATHS})
    if len(rows) > 1:
        raise ValueError(
            f"{source} holds files of several kinds, {' and '.join(rows)}: name one kind, as in 'FOLDER/**/*.jsonl'"
        )
    return PREPARED[rows[0] if rows else OF_PATHS]


@dataclass(frozen=True)
class _OpenLocal(OpenLocal):
    """Function that opens a remote file's local copy; it is sent to other processes."""

    asked: SourceRequest
    kind: str

    def __call__(self, path: Path) -> Source:
        return PREPARED[self.kind].open(self.asked, [path])

    def describe(self) -> dict[str, Any]:
        """Everything that determines the documents of a file."""
        return {"kind": self.kind, **Rows(self.asked).describe(self.asked.field)}
