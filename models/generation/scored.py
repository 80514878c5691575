"""Scored tokens: each with its log-probability and the most likely alternatives."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Scored:
    """A token with its log-probability under the unmodified model, and the most likely alternatives, best first."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Generated(Scored):
    """One new token of a row.

    Attributes:
        row: the prompt's index in its batch, or the number from `Engine.add`.
        finish: on a row's last token, the reason: a stop token or the length; None before.
        prompt: on a row's first token, the scores of its prompt's tokens from the second on, if requested.
    """

    row: int = field(kw_only=True)
    finish: Literal["stop", "length"] | None = field(default=None, kw_only=True)
    prompt: tuple[Scored, ...] | None = field(default=None, kw_only=True)


def scored(logits: Float[Tensor, "t v"], tokens: list[int], top: int) -> list[Scored]:
    """Each token's log-probability, and the `top` most likely alternatives."""
    logprobs = torch.log_softmax(logits, dim=-1)
    own = logprobs.gather(1, torch.tensor(tokens, device=logits.device, dtype=torch.int64).unsqueeze(1)).squeeze(1)
    tops = most_likely(logprobs, top) if top else [()] * len(tokens)
    return [Scored(token, logprob, best) for token, logprob, best in zip(tokens, own.tolist(), tops, strict=True)]


def most_likely(logprobs: Float[Tensor, "b v"], count: int) -> list[tuple[tuple[int, float], ...]]:
    """Each row's most likely tokens with their log-probabilities, best first."""
    best = logprobs.topk(min(count, logprobs.shape[-1]))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [tuple(zip(tokens, logprobs, strict=True)) for tokens, logprobs in pairs]
