"""Data sets of the Hugging Face hub, streamed at a pinned revision. Only the tokens are stored."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.support.storage.downloads import reason
from gpt_from_scratch.training.data.reading.rows import Rows
from gpt_from_scratch.training.data.source import Document, LeftOut, PreparedSource, Source, SourceRequest

HUB_SECONDS = 10.0
"""Timeout of the query whether the hub has a data set."""
NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")
"""OWNER/NAME, or OWNER/NAME@REVISION."""


@dataclass(frozen=True)
class HubName:
    """A data set on the Hugging Face hub."""

    path: str
    config: str | None = None
    validation: str | None = None
    """The hub's validation split; None: use a part of the training split."""
    revision: str | None = None
    """A commit, a branch or a tag; None: the newest commit at the first use."""


class HubSource(Source):
    """A data set read as a stream with `datasets`. A piece is one of its files."""

    def __init__(self, name: HubName, asked: SourceRequest, **options: Any) -> None:
        """`options` go to `datasets.load_dataset`."""
        self.name, self.rows, self.options = name, Rows(asked), options
        splits = ["train"] if name.validation is None else ["train", name.validation]
        self.pieces = [
            (split, n, index) for split in splits for n in [self._stream(split).num_shards] for index in range(n)
        ]
        self.field = self._found_field()

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "hub",
            "path": self.name.path,
            "config": self.name.config,
            **self.rows.describe(self.field),
            "pieces": self.pieces,
            "revision": self.name.revision,
        }

    @property
    def n_pieces(self) -> int:
        return len(self.pieces)

    def documents(self, piece: int) -> Iterator[Document | LeftOut]:
        split, n, index = self.pieces[piece]
        where = f"{self.name.path}, split {split}, file {index} of {n}"
        with from_hub(where):
            rows = iter(self._stream(split).shard(num_shards=n, index=index))
        place = 0
        while True:
            with from_hub(where):
                row = next(rows, None)
            if row is None:
                return
            made = self.rows.document(row, self.field, f"{where}, row {place}")
            if self.name.validation is not None and isinstance(made, Document):
                made = replace(made, split="train" if split == "train" else "validation")
            yield made
            place += 1

    def _found_field(self) -> str:
        if self.rows.field is not None or self.rows.map is not None:
            return self.rows.field or "text"
        with from_hub(self.name.path):
            row = next(iter(self._stream("train")), {"text": ""})
        return self.rows.field_among(list(row), [k for k, v in row.items() if isinstance(v, str)], self.name.path)

    def _stream(self, split: str) -> Any:
        try:
            from datasets import load_dataset  # type: ignore[import-untyped]
        except ImportError as error:
            raise RuntimeError(
                f"{self.name.path} is streamed with the package datasets: {how_to_install('data')}"
            ) from error
        with from_hub(self.name.path):
            return load_dataset(
                self.name.path,
                self.name.config,
                split=split,
                streaming=True,
                revision=self.name.revision,
                **self.options,
            )


class HubDataSet(PreparedSource):
    """A data set of the hub that has a short name here."""

    hub: HubName

    def open(self, asked: SourceRequest, files: Sequence[Path]) -> Source:
        return open_hub(self.hub, asked)


def open_hub(name: HubName, asked: SourceRequest) -> Source:
    """Open a data set of the hub, pinned to its current commit or to the requested revision.

    Raises:
        RuntimeError: the hub cannot be reached, refuses the data set, or a package is missing.
    """
    return HubSource(replace(name, revision=pinned(name), config=asked.subset or name.config), asked)


def hub_name(word: str) -> HubName | None:
    """Parse OWNER/NAME or OWNER/NAME@REVISION; None for any other word."""
    if not NAME.fullmatch(word):
        return None
    path, _, revision = word.partition("@")
    return HubName(path, revision=revision or None)


def pinned(name: HubName) -> str | None:
    """Commit of a data set's revision. The hub is asked once here, because `datasets` would retry for half a minute.

    Raises:
        RuntimeError: the hub cannot be reached, refuses the data set, or a package is missing.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise RuntimeError(f"{name.path} is on the Hugging Face hub: {how_to_install('data')}") from error
    with from_hub(name.path):
        commit: str | None = HfApi().dataset_info(name.path, revision=name.revision, timeout=HUB_SECONDS).sha
    return commit


@contextmanager
def from_hub(what: str) -> Iterator[None]:
    """Convert errors of the hub's libraries to a RuntimeError that names the request."""
    try:
        yield
    except Exception as error:  # from any HTTP library that the installed version uses
        raise RuntimeError(
            f"the Hugging Face hub did not provide {what}: {reason(error)}.\n"
            "Try again with a network connection; finished work is kept. Or prepare your own text: a file or a folder"
        ) from error
