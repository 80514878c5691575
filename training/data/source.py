"""The declaration of a data source.

Each file of `training/data/sources` declares a `LIVE` source, a `PREPARED` one, or both. A run reads a live source itself
(`--data.source NAME`). `gpt prepare` tokenizes a prepared source beforehand. The command line, the config, `prepare`,
errors and documentation are generated from these declarations (`registry.py`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from gpt_from_scratch.support.command_line.settings import Many, check_settings
from gpt_from_scratch.support.storage.downloads import Progress
from gpt_from_scratch.tokenizer.chat.template import Message
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT

SPLITS = ("train", "validation")
GPT2_VOCABULARY = 50_257


@dataclass(frozen=True)
class DataSettings:
    """Settings of every live source. A source's file may declare a subclass with its own settings as `options`."""

    source: str = "stories"
    """The name of a live source."""
    path: Path | None = None
    """Your own file or folder; with a source that reads no path, it selects "text"."""
    tokenizer: str = "bpe"
    """"bpe": byte pair encoding learned from the training text; "character": one token per character; "gpt2"; a tokenizer
    file; or "weights": that of --init-from's model, the default with --init-from. Shards always use the tokenizer that made
    them.
    """
    vocab_size: Many = 1280
    """Vocabulary size of a byte pair encoding that is learned."""
    validation_fraction: float = 0.1
    """The fraction of a text, at its end, that is used for validation."""
    seed: int = 0
    """Seed of the samples' order."""

    def __post_init__(self) -> None:
        check_settings(self, "data.")
        if self.vocab_size < 1:
            raise ValueError(f"data.vocab_size must be at least 1, it is {self.vocab_size}")
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"data.validation_fraction must lie between 0 and 1, it is {self.validation_fraction}")


@dataclass(frozen=True)
class Texts:
    """The result of a live source of text."""

    train: Sequence[str]
    validation: Sequence[str]
    floor_nats: Callable[[], float] | None = None
    """Total entropy of all validation texts, if it is known exactly."""
    judge: Callable[[str], bool] | None = None
    """Function that says whether the source could have generated a text; None if unknown."""


@dataclass(frozen=True)
class Conversations:
    """The result of a live source of conversations; only the assistant's tokens are targets."""

    train: Sequence[list[Message]]
    validation: Sequence[list[Message]]


@dataclass(frozen=True)
class Prepared:
    """The result of a live source of prepared shards: the folder with their index."""

    folder: Path


@dataclass(frozen=True)
class Mixed:
    """The result of a mixture: the names and weights of other sources."""

    mixture: tuple[str, ...]
    schedule: tuple[str, ...]


class LiveSource(ABC):
    """A data source that a run reads, generates or downloads itself."""

    name: ClassVar[str]
    about: ClassVar[str]
    """A phrase for --help, after the name."""
    options: ClassVar[type[DataSettings]] = DataSettings
    """The source's own settings: --data.NAME for each field. Their names must be new among all sources."""
    path: ClassVar[Literal["none", "may be given", "needed"]] = "none"
    """Whether the source reads `settings.path`."""
    downloads: ClassVar[bool] = False
    """Whether one rank must read first, because it downloads the data for all."""
    running_text: ClassVar[bool] = False
    """True: one long text, whose parts do not start with an end-of-text token. False: documents, each after such a
    token.
    """
    brings_tokenizer: ClassVar[bool] = False
    """Whether it is tokenized already, by a tokenizer in its folder."""
    pattern: ClassVar[str] = "gpt2"
    """Split pattern for learning a byte pair encoding from its text."""
    special_tokens: ClassVar[tuple[str, ...]] = (END_OF_TEXT,)
    """Special tokens of a byte pair encoding learned from its text."""

    @abstractmethod
    def read(self, settings: Any, *, progress: Progress | None = None) -> Texts | Conversations | Prepared | Mixed:
        """Read the data. `settings` are of the type `options`.

        Raises:
            FileNotFoundError, ValueError, DownloadError: the data is missing, empty, or not UTF-8.
        """

    def n_vocab(self, settings: Any) -> int | None:
        """The vocabulary size of the tokenizer, if it is known without reading or downloading."""
        return None

    def fewer(self, settings: Any) -> Any:
        """Settings for a smaller part of the data that is enough to learn a small vocabulary; unchanged if there is
        none.
        """
        return settings

    def fresh(self, settings: Any) -> Iterable[str] | None:
        """Endless iterator over texts that no run has read, if the source can generate them."""
        return None


@dataclass(frozen=True)
class Document:
    """A document, or a part of one."""

    split: str
    text: str
    begins: bool = True
    """False: it continues the document before it."""


@dataclass(frozen=True)
class LeftOut:
    """A row that gave no document."""

    where: str
    why: str
    """If `broken` is false, a phrase that follows "rows"; otherwise the whole message."""
    broken: bool = False
    """Whether the row is invalid, and not merely filtered or without a text."""


class Source(ABC):
    """Text in pieces, each read by one process. Instances are sent to other processes.

    A piece gives the same documents at every reading, and can be read again without the others. That makes `prepare`
    parallel and restartable.
    """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Description as JSON, which is equal as long as the pieces and the content of `files` are equal."""

    def files(self, n_pieces: int) -> list[Path]:
        """The local files that its first pieces are read from."""
        return []

    @property
    @abstractmethod
    def n_pieces(self) -> int:
        """Number of pieces."""

    @abstractmethod
    def documents(self, piece: int) -> Iterator[Document | LeftOut]:
        """Documents of one piece, in order, and `LeftOut` for rows without one.

        Raises:
            ValueError: a file is damaged or has changed; names the file and the place. A broken row is left out and does
                not raise.
        """


@dataclass(frozen=True)
class SourceRequest:
    """The source options of `prepare`."""

    source: str
    """A name, a file, a folder or an address."""
    field: str | None = None
    """The field or column with the text; None: detected."""
    validation_fraction: float = 0.01
    map: str | None = None
    """The user's function, "module:function" or "file.py:function", that converts a row to a text or None."""
    filter: str | None = None
    """The user's function that says whether to keep a text."""
    subset: str | None = None
    """The configuration of a data set of the hub."""


@dataclass(frozen=True)
class PrepareRecipe:
    """Options of `prepare` for the shards that a preset reads, and the vocabulary size of their tokenizer."""

    options: str
    n_vocab: int


class PreparedSource(ABC):
    """A data source that `prepare` tokenizes. It is selected by its `name`, or by a file suffix in `suffixes`."""

    name: ClassVar[str]
    about: ClassVar[str]
    """A phrase for --help and errors that describes the accepted input."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """Suffixes of its files, in lower case; empty: it is selected by its name."""
    recipe: ClassVar[PrepareRecipe | None] = None
    """If a preset reads its shards: how to make them."""

    @abstractmethod
    def open(self, asked: SourceRequest, files: Sequence[Path]) -> Source:
        """Open the source. `files` are those that were found; empty for a source selected by name.

        Raises:
            FileNotFoundError, ValueError, RuntimeError: there is no text, or the source cannot be reached.
        """
