"""Data sets of the Hugging Face hub, read as a stream: nothing is kept but the tokens."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.support.storage.downloads import reason
from gpt_from_scratch.training.data.reading.rows import document
from gpt_from_scratch.training.data.source import Asked, Document, LeftOut, PreparedSource, Source

HUB_SECONDS = 10.0
"""How long the hub may take to say whether it has a data set."""


@dataclass(frozen=True)
class HubName:
    """A data set on the Hugging Face hub."""

    path: str
    config: str | None = None
    validation: str | None = None
    """The hub's split for validation; None: a part of the training split."""


class HubSource(Source):
    """A data set read as a stream with `datasets`. A piece is one of its files."""

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
        with from_hub(where):
            rows = iter(self._stream(split).shard(num_shards=n, index=index))
        while True:
            with from_hub(where):
                row = next(rows, None)
            if row is None:
                return
            made = document(row, self.field, where, self.validation_fraction)
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
        with from_hub(self.name.path):
            return load_dataset(self.name.path, self.name.config, split=split, streaming=True, **self.options)


class HubDataSet(PreparedSource):
    """A data set of the hub that is known by a name of ours."""

    hub: HubName

    def open(self, asked: Asked, files: Sequence[Path]) -> Source:
        require_hub(self.hub)
        return HubSource(self.hub, asked.field, asked.validation_fraction)


def require_hub(name: HubName) -> None:
    """Ask the hub for a data set once, before `datasets` asks for half a minute and prints each try.

    Raises:
        RuntimeError: the hub cannot be reached, or does not give it; or the package that asks is missing.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise RuntimeError(f"{name.path} is on the Hugging Face hub: {how_to_install('data')}") from error
    with from_hub(name.path):
        HfApi().dataset_info(name.path, timeout=HUB_SECONDS)


@contextmanager
def from_hub(what: str) -> Iterator[None]:
    """Errors of the hub's libraries as a RuntimeError that says what was asked for."""
    try:
        yield
    except Exception as error:  # of whichever HTTP library they use in the version at hand
        raise RuntimeError(
            f"the Hugging Face hub did not give {what}: {reason(error)}.\n"
            "Try again with a network; what has been made is kept. Or prepare text of your own: a file or a folder"
        ) from error
