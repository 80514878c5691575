"""Samples for training and evaluation: rows of tokens and their targets, the next tokens.

    windows    the stream of all tokens, cut every `block_size`: a sample reads T+1 tokens, and its last one is the
               first of the next sample, so each token is predicted exactly once (all but the very first, which nothing
               precedes). Where the shards end makes no difference.
    documents  whole documents, packed into rows; only one that is longer than a row is cut, and goes on in the next.

Places without a target (the last window's rest, a row's rest) have the target -100, which the loss leaves out.
"""

import bisect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int, Integer, Shaped
from torch import Tensor

from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE
from gpt_from_scratch.tokenizer.protocol import Tokenizer
from gpt_from_scratch.training.data.packing import best_fit
from gpt_from_scratch.training.data.sampler import permuted, round_keys, sample_ids
from gpt_from_scratch.training.data.shards import damage, read_index

NO_TARGET = -100


class TokenData(ABC):
    """A data set of samples 0 … n_samples-1 with `block_size` tokens each."""

    block_size: int
    n_samples: int
    n_targets: int
    """Number of targets in one epoch."""

    @property
    def targets(self) -> Int[np.ndarray, " n"] | int:
        """Number of targets of each sample; a single number if all samples except the last have equally many."""
        return self.block_size

    def batch_ids(self, seed: int, step: int, batch_size: int) -> Int[np.ndarray, " b"]:
        """Sample ids of the global batch of a step (0, 1, …), in order: a pure function of its arguments."""
        return sample_ids(seed, step, batch_size, self.n_samples)

    @abstractmethod
    def row(self, sample: int) -> Integer[np.ndarray, " m"]:
        """A sample's 2 to T+1 tokens; all except the first are targets."""

    @abstractmethod
    def where(self, sample: int) -> str:
        """Description of a sample's position in the data, for reports."""

    @staticmethod
    def from_tokens(
        tokens: Integer[np.ndarray, " n"] | Sequence[Integer[np.ndarray, " _"]], block_size: int
    ) -> "TokenData":
        """Windows over one array of tokens, or over several arrays as one. Memory-mapped arrays stay on disk.

        Raises:
            ValueError: the context is longer than the data.
        """
        return _Windows([tokens] if isinstance(tokens, np.ndarray) else tokens, block_size)

    @staticmethod
    def from_documents(
        documents: Sequence[Integer[np.ndarray, " _"]], block_size: int, *, eot_token: int
    ) -> "TokenData":
        """Whole documents (given without end-of-text tokens), packed into rows.

        A row reads `eot, document, eot, document, eot`: each token of each document, and each document's end, is
        predicted exactly once an epoch. A document longer than the context continues in further rows, without a gap: the
        first token of such a row is the last target of the row before it.

        Raises:
            ValueError: there is no document.
        """
        return _Documents(documents, block_size, eot_token)

    @staticmethod
    def from_conversations(
        documents: Sequence[Integer[np.ndarray, " _"]],
        scored: Sequence[Bool[np.ndarray, " _"]],
        block_size: int,
        *,
        eot_token: int,
    ) -> "TokenData":
        """As `from_documents`, where only the tokens of each document that are `scored` are targets.

        Raises:
            ValueError: there is no document.
        """
        return _Conversations(documents, scored, block_size, eot_token)

    @staticmethod
    def from_index(
        path: Path, block_size: int, *, split: str = "train", tokenizer: Tokenizer | None = None, verify: bool = False
    ) -> "TokenData":
        """Windows over the memory-mapped shards of a split that `prepare` made.

        Args:
            path: the folder, or its index.json.
            tokenizer: the model's tokenizer; data made with another tokenizer is refused.
            verify: also check the hash of every shard. Sizes and headers are always checked.

        Raises:
            FileNotFoundError, ValueError: something is missing, damaged, or does not fit.
        """
        index = read_index(path)
        if tokenizer is not None and tokenizer.fingerprint != index.tokenizer:
            raise ValueError(
                f"the data in {index.folder} was made by another tokenizer ({index.tokenizer[:12]}…, {index.n_vocab:,} ids) "
                f"than the model has ({tokenizer.fingerprint[:12]}…, {tokenizer.n_vocab:,} ids): use the one in "
                f"{index.folder / TOKENIZER_FILE}, or prepare the data with the model's"
            )
        if verify and (lines := damage(index)):
            raise ValueError("\n".join(lines))
        return TokenData.from_tokens(index.open(split), block_size)

    def scored(self, sample: int) -> Bool[np.ndarray, " m"] | None:
        """Which tokens of a row count where they are predicted; None: all do."""
        return None

    def batch(self, samples: Int[np.ndarray, " b"]) -> tuple[Int[Tensor, "b t"], Int[Tensor, "b t"]]:
        """(tokens, targets) of these samples, int64; the loss ignores positions with target -100.

        Raises:
            IndexError: there is no such sample.
        """
        tokens = np.zeros((len(samples), self.block_size), dtype=np.int64)
        targets = np.full((len(samples), self.block_size), NO_TARGET, dtype=np.int64)
        for place, sample in enumerate(samples.tolist()):
            if not 0 <= sample < self.n_samples:
                raise IndexError(f"sample {sample} of {self.n_samples}")
            row = self.row(sample)
            tokens[place, : len(row) - 1] = row[:-1]
            targets[place, : len(row) - 1] = row[1:]
            if (scored := self.scored(sample)) is not None:
                targets[place, : len(row) - 1][~scored[1:]] = NO_TARGET
        return torch.from_numpy(tokens), torch.from_numpy(targets)


class _Windows(TokenData):
    def __init__(self, arrays: Sequence[Integer[np.ndarray, " _"]], block_size: int) -> None:
        if block_size < 1:
            raise ValueError(f"block_size is {block_size}: a context has at least 1 token")
        self.arrays = [array for array in arrays if len(array)]
        self.ends = np.cumsum([len(array) for array in self.arrays], dtype=np.int64).tolist()
        self.n_tokens: int = self.ends[-1] if self.ends else 0
        self.block_size = block_size
        if self.n_tokens < block_size + 1:
            raise ValueError(
                f"the context is longer than the data: block_size {block_size} needs at least {block_size + 1:,} tokens, "
                f"there are {self.n_tokens:,}. Give more text or lower block_size."
            )
        self.n_targets = self.n_tokens - 1
        self.n_samples = -(-self.n_targets // block_size)

    def row(self, sample: int) -> Integer[np.ndarray, " m"]:
        start = sample * self.block_size
        stop = min(start + self.block_size + 1, self.n_tokens)
        pieces = []
        index = bisect.bisect_right(self.ends, start)
        while start < stop:
            array, end = self.arrays[index], self.ends[index]
            pieces.append(array[start - end + len(array) : min(stop, end) - end + len(array)])
            start, index = end, index + 1
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def where(self, sample: int) -> str:
        start = sample * self.block_size
        index = bisect.bisect_right(self.ends, start)
        inside = start - self.ends[index] + len(self.arrays[index])
        name = getattr(self.arrays[index], "filename", None)
        return f"sample {sample}: {self.block_size} tokens from {inside:,} on of {name or f'part {index}'}"


class _Documents(TokenData):
    """Each row is made of parts: a document's targets from `first` to `stop`, the last of which is its end."""

    def __init__(self, documents: Sequence[Integer[np.ndarray, " _"]], block_size: int, eot_token: int) -> None:
        if not documents:
            raise ValueError("there is no document to train on")
        self.documents, self.block_size = documents, block_size
        self.eot = np.array([eot_token], dtype=np.int64)
        lengths = [len(document) + 1 for document in documents]  # the end is predicted too
        long = [document for document, length in enumerate(lengths) if length > block_size]
        full = [[(n, at)] for n in long for at in range(0, lengths[n] - block_size, block_size)]
        rests = [(n, (lengths[n] - 1) // block_size * block_size) for n in long]  # each at the beginning of a row
        short = [(n, 0) for n, length in enumerate(lengths) if length <= block_size] if long else None
        packed = best_fit(
            lengths if short is None else [lengths[n] for n, _ in short],
            block_size,
            begun=[lengths[n] - first for n, first in rests],
        )
        items = [(n, 0) for n in range(len(lengths))] if short is None else short
        self.rows = full + [
            [*rests[number : number + 1], *(items[item] for item in self._shuffled(row))]
            for number, row in enumerate(packed)
        ]
        self.n_targets = sum(lengths)
        self.n_samples = len(self.rows)
        self._targets = np.array(
            [sum(min(lengths[n] - first, block_size) for n, first in row) for row in self.rows], dtype=np.int64
        )

    @property
    def targets(self) -> Int[np.ndarray, " n"]:
        return self._targets

    @staticmethod
    def _shuffled(row: list[int]) -> list[int]:
        """Documents in random order, since a long one starts a new row more often than a short one."""
        if len(row) < 2:  # most rows, where documents are long: the permutation would take the start of a run seconds
            return row
        order = permuted(np.arange(len(row), dtype=np.uint64), len(row), round_keys(row[0], 0))
        return [row[place] for place in order.tolist()]

    def row(self, sample: int) -> Integer[np.ndarray, " m"]:
        return self._row_of(sample, self.documents, self.eot)

    def _row_of(
        self, sample: int, documents: Sequence[Shaped[np.ndarray, " _"]], end: Shaped[np.ndarray, "1"]
    ) -> Shaped[np.ndarray, " m"]:
        """What a row has of each document, `end` before the first and behind each that ends in it."""
        document, first = self.rows[sample][0]
        pieces = [documents[document][first - 1 : first] if first else end]
        for document, first in self.rows[sample]:
            pieces.append(documents[document][first : first + self.block_size])
            if len(documents[document]) < first + self.block_size:
                pieces.append(end)
        return np.concatenate(pieces)

    def where(self, sample: int) -> str:
        named = [f"{document} from {first:,} on" if first else str(document) for document, first in self.rows[sample]]
        return f"sample {sample}: documents {', '.join(named)}"


class _Conversations(_Documents):
    """Documents of which only some tokens are targets; their ends are none."""

    def __init__(
        self,
        documents: Sequence[Integer[np.ndarray, " _"]],
        scored: Sequence[Bool[np.ndarray, " _"]],
        block_size: int,
        eot_token: int,
    ) -> None:
        super().__init__(documents, block_size, eot_token)
        self._scored = scored
        self.n_targets = sum(int(one.sum()) for one in scored)
        self._targets = np.array(
            [int(self.scored(sample)[1:].sum()) for sample in range(self.n_samples)], dtype=np.int64
        )

    def scored(self, sample: int) -> Bool[np.ndarray, " m"]:
        return self._row_of(sample, self._scored, np.array([False]))
