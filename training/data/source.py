"""The declaration of a data source. Each file of `training/data/sources` has a `LIVE` source, a `PREPARED` one, or both.

A live source is read by a run itself (`--data.source NAME`). A prepared source is tokenized by `gpt prepare` beforehand. The
command line, the config, `prepare`, the errors and the documentation are made from these declarations (`registry.py`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from gpt_from_scratch.support.command_line.settings import Many, check_settings
from gpt_from_scratch.support.storage.downloads import Progress

SPLITS = ("train", "validation")
GPT2_VOCABULARY = 50_257


@dataclass(frozen=True)
class DataSettings:
    """The settings that every live source has. A source's own are a subclass, declared in its file as its `options`."""

    source: str = "stories"
    """The name of a live source."""
    path: Path | None = None
    """A file or folder of your own; with a source that reads none it means "text"."""
    tokenizer: str = "bpe"
    """"bpe": byte pair encoding learned from the training text; "character": one token a character; "gpt2"; a tokenizer
    file; or "weights", the one that --init-from's weights have learned with, which is the default there. Shards bring the
    one that made them."""
    vocab_size: Many = 1280
    """Ids of a byte pair encoding to learn."""
    validation_fraction: float = 0.1
    """The last part of a text, kept for validation."""
    seed: int = 0
    """Seed of the order in which samples come."""

    def __post_init__(self) -> None:
        check_settings(self, "data.")
        if self.vocab_size < 1:
            raise ValueError(f"data.vocab_size must be at least 1, it is {self.vocab_size}")
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"data.validation_fraction must lie between 0 and 1, it is {self.validation_fraction}")


@dataclass(frozen=True)
class Texts:
    """What a live source of text gives."""

    train: Sequence[str]
    validation: Sequence[str]
    floor_nats: Callable[[], float] | None = None
    """The entropy of all validation texts together, where it is known exactly."""
    judge: Callable[[str], bool] | None = None
    """Whether the source could have written a text, where that can be told."""


@dataclass(frozen=True)
class Prepared:
    """What a live source of prepared shards gives: the folder with their index."""

    folder: Path


@dataclass(frozen=True)
class Mixed:
    """What a mixture gives: the names and weights of other sources."""

    mixture: tuple[str, ...]
    schedule: tuple[str, ...]


class LiveSource(ABC):
    """Data that a run reads, makes or downloads itself."""

    name: ClassVar[str]
    about: ClassVar[str]
    """A clause for --help, behind the name."""
    options: ClassVar[type[DataSettings]] = DataSettings
    """The source's own settings: --data.NAME for each field. Their names must be new among all sources."""
    path: ClassVar[Literal["none", "may be given", "needed"]] = "none"
    """Whether `settings.path` is read."""
    downloads: ClassVar[bool] = False
    """Whether one rank must read first, so that all find what it downloaded."""
    running_text: ClassVar[bool] = False
    """One long text, whose parts do not begin with an end-of-text token. False: documents, each behind such a token."""
    brings_tokenizer: ClassVar[bool] = False
    """It is tokenized already, by the tokenizer beside it."""
    pattern: ClassVar[str] = "gpt2"
    """What splits its text into words, where a byte pair encoding is learned from it."""

    @abstractmethod
    def read(self, settings: Any, *, progress: Progress | None = None) -> Texts | Prepared | Mixed:
        """The data. `settings` are of the type `options`.

        Raises:
            FileNotFoundError, ValueError, DownloadError: data that is missing, empty, or not UTF-8.
        """

    def n_vocab(self, settings: Any) -> int | None:
        """The ids that the tokenizer will have, where that is known without reading or downloading."""
        return None

    def fewer(self, settings: Any) -> Any:
        """Settings for a part of the data whose pairs are enough for a small vocabulary; the same settings: there is none."""
        return settings

    def fresh(self, settings: Any) -> Iterable[str] | None:
        """Endlessly many texts that no run has read, where the source can make them."""
        return None


@dataclass(frozen=True)
class Document:
    """Text that belongs together, or a part of it."""

    split: str
    text: str
    begins: bool = True
    """False: goes on where the document before it ended."""


@dataclass(frozen=True)
class LeftOut:
    """A row that gives no document."""

    where: str
    why: str
    """A clause behind "rows", where `broken` is false; else the whole message."""
    broken: bool = False
    """The row is not what it should be, and not merely without a text or unwanted."""


class Source(ABC):
    """Text in pieces, which one process each reads. Instances are sent to other processes.

    A piece gives the same documents at every reading, and can be read again after a failure without the others: that is
    what makes `prepare` parallel and restartable.
    """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What it is, as JSON: equal as long as the pieces are and `files` hold what they held."""

    def files(self, n_pieces: int) -> list[Path]:
        """The files of this machine that its first pieces are read from."""
        return []

    @property
    @abstractmethod
    def n_pieces(self) -> int:
        """How many pieces there are."""

    @abstractmethod
    def documents(self, piece: int) -> Iterator[Document | LeftOut]:
        """The documents of one piece, in order, and rows without one.

        Raises:
            ValueError: a file is damaged or was changed; names it and the place. A broken row is left out, not raised.
        """


@dataclass(frozen=True)
class Asked:
    """What a person asks `prepare` to read."""

    source: str
    """A name, a file or a folder."""
    field: str | None = None
    """The field or column with the text; None: it is found."""
    validation_fraction: float = 0.01
    map: str | None = None
    """A function of the user's, "module:function" or "file.py:function", that makes a text of a row, or None."""
    filter: str | None = None
    """A function of the user's that says whether a text is kept."""
    subset: str | None = None
    """The configuration of a data set of the hub."""


@dataclass(frozen=True)
class Recipe:
    """How `prepare` makes the shards that a preset reads, and the ids that their tokenizer will have."""

    options: str
    n_vocab: int


class PreparedSource(ABC):
    """Data that `prepare` tokenizes. It answers to its `name`, or to files whose names end with one of `suffixes`."""

    name: ClassVar[str]
    about: ClassVar[str]
    """A clause for --help and errors: what can be named."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """Ends of the names of its files, lower case; none: it is asked for by its name."""
    recipe: ClassVar[Recipe | None] = None
    """Where a preset reads its shards: how they are made."""

    @abstractmethod
    def open(self, asked: Asked, files: Sequence[Path]) -> Source:
        """The source in pieces; `files` are those that were found, none for one that is asked for by its name.

        Raises:
            FileNotFoundError, ValueError, RuntimeError: there is no text, or it cannot be reached.
        """
