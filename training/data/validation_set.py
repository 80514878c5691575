"""The validation set and its loss: the same rows for any number of ranks, each target counted once.

Documents are cut and bits per byte defined as in evals/scoring/bits_per_byte.py, so training and `gpt eval bits-per-byte`
give the same figure.
"""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int, Integer
from torch import Tensor

from gpt_from_scratch.evals.scoring.bits_per_byte import bits, spans
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.training.data.loader import NO_TARGET
from gpt_from_scratch.training.ranks.process_group import Ranks


@dataclass(frozen=True)
class ValidationScore:
    """The validation score of a model."""

    nats: float
    """Total -log p of all targets."""
    n_targets: int
    n_bytes: int
    """Number of bytes of the targets that are text."""
    floor_nats: float | None
    """The lower bound of `nats` on average, if it is known exactly."""
    text_nats: float | None = None
    """Total -log p of the targets that are text; None: all are."""
    parts: "dict[str, ValidationScore]" = field(default_factory=dict)
    """For a mixture: the score on each source's text."""

    @property
    def loss(self) -> float:
        """Mean loss in nats per token."""
        return self.nats / self.n_targets

    @property
    def bits_per_byte(self) -> float:
        """Bits per byte of text, which is comparable between tokenizers."""
        return bits(self.nats if self.text_nats is None else self.text_nats, self.n_bytes)

    @property
    def ratio(self) -> float | None:
        """Total nats ÷ floor nats."""
        return None if self.floor_nats is None else self.nats / self.floor_nats


def comparable(loss: float | None) -> float:
    """Key for finding the lowest loss: a loss that is unknown or not finite counts as infinite."""
    return loss if loss is not None and math.isfinite(loss) else math.inf


Row = tuple[Integer[np.ndarray, " _"], int]
"""A row of tokens, and the number of tokens at its end that are targets."""


class ValidationSet:
    """The validation set: rows of tokens with targets at their ends, and the number of bytes that the targets stand for."""

    def __init__(
        self,
        rows: Iterable[Row],
        n_bytes: int,
        floor_nats: float | None = None,
        *,
        special: Collection[int] = (),
    ) -> None:
        """
        Args:
            special: ids that are not text; as targets they count in the loss but not in bits per byte.
        """
        # By length, so that a batch pads little; a stable sort, so that the batches are the same everywhere.
        ordered = sorted(rows, key=lambda row: len(row[0]), reverse=True)
        self.rows = [tokens for tokens, _ in ordered]
        self.scored = [scored for _, scored in ordered]
        self.n_targets = sum(self.scored)
        if self.n_targets == 0 or n_bytes == 0:
            raise ValueError("the validation text is too short to predict anything: give more text")
        self.n_bytes = n_bytes
        self.floor_nats = floor_nats
        self.parts: dict[str, ValidationSet] = {}
        """For a mixture: each source's set. Their scores add up to the total."""
        self.special = torch.tensor(sorted(special), dtype=torch.int64)

    @classmethod
    def of_texts(
        cls,
        documents: Iterable[Integer[np.ndarray, " _"]],
        before: Sequence[int],
        block_size: int,
        n_bytes: int,
        *,
        special: Collection[int] = (),
    ) -> "ValidationSet":
        """Validation set of documents of any length, each after `before` (the end-of-text token or nothing), in windows."""
        return cls(
            (row for document in documents for row in _windows(document, before, block_size)), n_bytes, special=special
        )

    @classmethod
    def of_documents(
        cls,
        documents: Iterable[Integer[np.ndarray, " _"]],
        eot_token: int,
        n_bytes: int,
        floor_nats: float | None = None,
        *,
        block_size: int | None = None,
    ) -> "ValidationSet":
        """Validation set of documents whose end-of-text token is a target, too. It does not count as text.

        A document longer than `block_size` (None: no limit) is cut, and its end gets a separate row.
        """
        rows: list[Row] = []
        end = np.array([eot_token])
        for document in documents:
            if block_size is None or len(document) < block_size:
                rows.append((np.concatenate([end, document, end]), len(document) + 1))
            else:
                rows += _windows(document, (eot_token,), block_size)
                rows.append((np.concatenate([document[len(document) - block_size :], end]), 1))
        return cls(rows, n_bytes, floor_nats, special=(eot_token,))

    @classmethod
    def of_sets(cls, parts: "dict[str, ValidationSet]") -> "ValidationSet":
        """Combine the sets of several sources; each is also scored alone."""
        rows = [row for part in parts.values() for row in zip(part.rows, part.scored, strict=True)]
        whole = cls(rows, sum(part.n_bytes for part in parts.values()))
        whole.parts = parts
        return whole

    def batches(self, tokens_a_batch: int) -> list[list[int]]:
        """Batches of indices of neighbouring rows, with about `n_tokens` tokens each."""
        result: list[list[int]] = []
        for index in range(len(self.rows)):
            if not result or len(self.rows[result[-1][0]]) * (len(result[-1]) + 1) > tokens_a_batch:
                result.append([])
            result[-1].append(index)
        return result

    def padded(self, indices: Sequence[int]) -> tuple[Int[Tensor, "b t"], Int[Tensor, "b t"]]:
        """Padded (tokens, targets) of some rows."""
        longest = max(len(self.rows[index]) for index in indices) - 1
        tokens = torch.zeros(len(indices), longest, dtype=torch.int64)
        targets = torch.full((len(indices), longest), NO_TARGET)
        for place, index in enumerate(indices):
            row, scored = torch.from_numpy(self.rows[index].astype(np.int64)), self.scored[index]
            tokens[place, : len(row) - 1] = row[:-1]
            targets[place, len(row) - 1 - scored : len(row) - 1] = row[len(row) - scored :]
        return tokens, targets


def _windows(document: Integer[np.ndarray, " _"], before: Sequence[int], block_size: int) -> Iterable[Row]:
    if before:
        document = np.concatenate([np.array(before, dtype=document.dtype), document])
    for start, predicted, end in spans(len(document), block_size, block_size):
        yield document[start:end], end - predicted


@torch.inference_mode()
def evaluate(
    model: GPT,
    validation: ValidationSet,
    ranks: Ranks,
    *,
    tokens_a_batch: int = 8192,
    should_stop: Callable[[], bool] = lambda: False,
) -> ValidationScore | None:
    """Score the uncompiled model on the whole set, sharing the batches among ranks; None if `should_stop` is true.

    The batches do not depend on the number of ranks, and their sums are added exactly. So the result is bit-identical if
    the model's arithmetic is (with the same number of threads).
    """
    if validation.parts:
        found: dict[str, ValidationScore] = {}
        for name, part in validation.parts.items():
            score = evaluate(model, part, ranks, tokens_a_batch=tokens_a_batch, should_stop=should_stop)
            if score is None:
                return None
            found[name] = score
        scores = list(found.values())
        total = math.fsum(score.nats for score in scores)
        text = math.fsum(score.nats if score.text_nats is None else score.text_nats for score in scores)
        return ValidationScore(total, validation.n_targets, validation.n_bytes, None, text, found)
    device = model.wte.weight.device
    batches = validation.batches(tokens_a_batch)
    nats, text_nats = torch.zeros(2, len(batches), dtype=torch.float64)
    stopped = False
    for number, indices in enumerate(batches):
        if number % ranks.size != ranks.rank:
            continue
        if should_stop():
            stopped = True
            break
        tokens, targets = validation.padded(indices)
        losses = model(tokens.to(device), targets.to(device), reduction="none").cpu().double()
        nats[number] = losses.sum()
        text_nats[number] = losses.masked_fill(torch.isin(targets, validation.special), 0).sum()
    *sums, any_stopped = ranks.sum(*nats.tolist(), *text_nats.tolist(), float(stopped))
    if any_stopped:
        return None
    every, of_text = math.fsum(sums[: len(batches)]), math.fsum(sums[len(batches) :])
    return ValidationScore(every, validation.n_targets, validation.n_bytes, validation.floor_nats, of_text)
