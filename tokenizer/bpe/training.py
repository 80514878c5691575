"""Training of a byte pair encoding: from a text, from files, or from bytes."""

import warnings
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

from gpt_from_scratch.tokenizer.bpe.large_files import read_texts
from gpt_from_scratch.tokenizer.bpe.learning import Progress, Recipe, learn
from gpt_from_scratch.tokenizer.bpe.ordered_map import threads
from gpt_from_scratch.tokenizer.bpe.reference import Pair, TieBreak
from gpt_from_scratch.tokenizer.numba_kernels.loading import Backend, kernels_for
from gpt_from_scratch.tokenizer.protocol import END_OF_TEXT
from gpt_from_scratch.tokenizer.splitting.chunks import Cutter

T = TypeVar("T", bound="TrainingMethods")


class TrainingOptions(TypedDict, total=False):
    """The options of `TrainingMethods.from_text`."""

    pattern: str
    special_tokens: Iterable[str]
    tie_break: TieBreak
    byte_order: str
    num_threads: int | None
    progress: Progress | None
    backend: Backend


class TrainingMethods:
    """The class methods that learn a tokenizer, in terms of its constructor and the few that come first here."""

    @abstractmethod
    def __init__(self, merges: Sequence[Pair], **options: Any) -> None:
        """The tokenizer of these merges."""

    @property
    @abstractmethod
    def special_tokens(self) -> dict[str, int]:
        """Each special token's id."""

    @abstractmethod
    def _recipe(self, raw: bool) -> Recipe:
        """The settings that determine the merges, with the options of this tokenizer."""

    @classmethod
    def from_text(
        cls: type[T],
        text: str,
        vocab_size: int,
        *,
        pattern: str = "gpt2",
        special_tokens: Iterable[str] = (END_OF_TEXT,),
        tie_break: TieBreak = "lowest-ids",
        byte_order: str = "raw",
        num_threads: int | None = None,
        progress: Progress | None = None,
        backend: Backend = "auto",
    ) -> T:
        """Learn `vocab_size` ids (256 bytes, the merges, the special tokens) from `text`.

        `pattern` splits the text into words (`patterns.PATTERNS`, or a regular expression); special tokens that occur in
        it separate it and are not learnt from. `tie_break` decides among equally frequent pairs and `byte_order` numbers
        the bytes: with "lowest-ids" and "raw" the merges are rustbpe's, with "gpt2" Hugging Face's. `progress` is called
        with a stage and a number: characters counted, merges made. None of the rest changes the result.
        Raises ValueError on an empty text or a vocabulary too small; warns if the text has fewer pairs to merge than
        asked for.
        """
        return cls._train(
            [[text]],
            len(text),
            vocab_size,
            pattern=pattern,
            special_tokens=special_tokens,
            tie_break=tie_break,
            byte_order=byte_order,
            num_threads=num_threads,
            progress=progress,
            backend=backend,
        )

    @classmethod
    def from_files(cls: type[T], paths: Iterable[Path | str], vocab_size: int, **options: Unpack[TrainingOptions]) -> T:
        """As `from_text`, from UTF-8 files, each read in blocks; no word reaches from one file into the next.

        Raises FileNotFoundError, and ValueError where a file is not UTF-8.
        """
        files = [Path(path) for path in paths]
        return cls._train(
            (read_texts(file) for file in files), sum(file.stat().st_size for file in files), vocab_size, **options
        )

    @classmethod
    def from_input_bytes(cls: type[T], input_bytes: bytes, vocab_size: int, **options: Unpack[TrainingOptions]) -> T:
        """From bytes that need not be UTF-8: plain byte pair encoding, as it is usually taught.

        By default nothing splits the bytes, of equally frequent pairs the one that comes first is merged, and there are no
        special tokens; the options are those of `from_text`.
        """
        options = {"pattern": "none", "tie_break": "first", "special_tokens": ()} | options
        text = _all_bytes(input_bytes).decode("utf-8", "surrogateescape")
        return cls._train([[text]], len(text), vocab_size, raw=True, **options)

    @classmethod
    def _train(
        cls: type[T],
        documents: Iterable[Iterable[str]],
        size: int,
        vocab_size: int,
        *,
        raw: bool = False,
        pattern: str = "gpt2",
        special_tokens: Iterable[str] = (END_OF_TEXT,),
        tie_break: TieBreak = "lowest-ids",
        byte_order: str = "raw",
        num_threads: int | None = None,
        progress: Progress | None = None,
        backend: Backend = "auto",
    ) -> T:
        # Made first without merges, so that every option is checked before the work.
        untrained = cls(
            [],
            pattern=pattern,
            special_tokens=special_tokens,
            byte_order=byte_order,
            tie_break=tie_break,
            backend=backend,
        )
        names = list(untrained.special_tokens)
        if not isinstance(vocab_size, Integral) or isinstance(vocab_size, bool):
            raise ValueError(f"vocab_size must be a whole number, got {vocab_size!r}")
        vocab_size = int(vocab_size)
        num_merges = vocab_size - 256 - len(names)
        if num_merges < 0:
            raise ValueError(
                f"vocab_size {vocab_size} is too small: 256 bytes and {len(names)} special tokens need at least "
                f"{256 + len(names)}"
            )
        cutter = Cutter(pattern, names)
        merges = learn(
            (piece for document in documents for piece in cutter.pieces(document)),
            num_merges,
            untrained._recipe(raw),
            num_threads=threads(num_threads),
            kernels=kernels_for(backend, size),
            progress=progress,
        )
        if len(merges) < num_merges:
            warnings.warn(
                f"the text has only {len(merges)} pairs to merge, {num_merges} were asked for: the vocabulary has "
                f"{256 + len(merges) + len(names)} ids, not {vocab_size}. Give more text for more.",
                stacklevel=3,
            )
        return cls(
            merges, pattern=pattern, special_tokens=names, byte_order=byte_order, tie_break=tie_break, backend=backend
        )


def _all_bytes(data: bytes) -> bytes:
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ValueError(f"expected bytes, got {type(data).__name__} (for a text: text.encode())")
    return bytes(data)
