"""The validation loss over a fixed, whole set: the same rows for any number of ranks, each target counted once."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int, Integer
from torch import Tensor

from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.training.data.loader import NO_TARGET
from gpt_from_scratch.training.distributed import Ranks


@dataclass(frozen=True)
class Score:
    """How well a model predicts the validation set."""

    nats: float
    """-log p of all targets together."""
    n_targets: int
    n_bytes: int
    floor_nats: float | None
    """What no model can go below on average, where that is known exactly."""

    @property
    def loss(self) -> float:
        """Nats a token."""
        return self.nats / self.n_targets

    @property
    def bits_per_byte(self) -> float:
        """The same for every tokenizer."""
        return self.nats / math.log(2) / self.n_bytes

    @property
    def ratio(self) -> float | None:
        """Total nats ÷ floor nats."""
        return None if self.floor_nats is None else self.nats / self.floor_nats


class ValidationSet:
    """Rows of tokens, each but the first of a row a target, and the bytes of text that they stand for."""

    def __init__(
        self, rows: Sequence[Integer[np.ndarray, " _"]], n_bytes: int, floor_nats: float | None = None
    ) -> None:
        if not rows or max(map(len, rows)) < 2:
            raise ValueError("the validation text is too short to predict anything: give more text")
        # By length, so that a batch pads little; a stable sort, so that the batches are the same everywhere.
        self.rows = sorted(rows, key=len, reverse=True)
        self.n_targets = sum(len(row) - 1 for row in rows)
        self.n_bytes = n_bytes
        self.floor_nats = floor_nats

    @classmethod
    def of_windows(cls, tokens: Integer[np.ndarray, " n"], block_size: int, n_bytes: int) -> "ValidationSet":
        """All tokens but the first are targets, in windows that do not overlap."""
        starts = range(0, max(len(tokens) - 1, 1), block_size)
        return cls([tokens[start : start + block_size + 1] for start in starts], n_bytes)

    @classmethod
    def of_documents(
        cls,
        documents: Sequence[Integer[np.ndarray, " _"]],
        eot_token: int,
        n_bytes: int,
        floor_nats: float | None = None,
    ) -> "ValidationSet":
        """One document a row, with the end-of-text token before it and, as its last target, behind it."""
        eot = np.array([eot_token])
        return cls([np.concatenate([eot, document, eot]) for document in documents], n_bytes, floor_nats)

    def batches(self, tokens_a_batch: int) -> list[list[int]]:
        """Indices of neighbouring rows, with about so many tokens together."""
        result: list[list[int]] = []
        for index in range(len(self.rows)):
            if not result or len(self.rows[result[-1][0]]) * (len(result[-1]) + 1) > tokens_a_batch:
                result.append([])
            result[-1].append(index)
        return result

    def padded(self, indices: Sequence[int]) -> tuple[Int[Tensor, "b t"], Int[Tensor, "b t"]]:
        """(tokens, targets) of some rows."""
        longest = max(len(self.rows[index]) for index in indices) - 1
        tokens = torch.zeros(len(indices), longest, dtype=torch.int64)
        targets = torch.full((len(indices), longest), NO_TARGET)
        for place, index in enumerate(indices):
            row = torch.from_numpy(self.rows[index].astype(np.int64))
            tokens[place, : len(row) - 1] = row[:-1]
            targets[place, : len(row) - 1] = row[1:]
        return tokens, targets


@torch.inference_mode()
def evaluate(
    model: GPT,
    validation: ValidationSet,
    ranks: Ranks,
    *,
    tokens_a_batch: int = 8192,
    should_stop: Callable[[], bool] = lambda: False,
) -> Score | None:
    """Score the uncompiled model on the whole set; the ranks share the batches. None if `should_stop` said so.

    Every batch is the same whatever the number of ranks, and their sums are added exactly, so the result is too, to the last
    bit where the model's arithmetic is (the same number of threads).
    """
    device = model.wte.weight.device
    batches = validation.batches(tokens_a_batch)
    nats = torch.zeros(len(batches), dtype=torch.float64)
    stopped = False
    for number, indices in enumerate(batches):
        if number % ranks.size != ranks.rank:
            continue
        if should_stop():
            stopped = True
            break
        tokens, targets = validation.padded(indices)
        losses = model(tokens.to(device), targets.to(device), reduction="none")
        nats[number] = losses.cpu().double().sum()
    *sums, any_stopped = ranks.sum(*nats.tolist(), float(stopped))
    if any_stopped:
        return None
    return Score(math.fsum(sums), validation.n_targets, validation.n_bytes, validation.floor_nats)
