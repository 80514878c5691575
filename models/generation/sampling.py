"""Sampling of the next token for a whole batch, with settings and a seed for each row."""

import hashlib
import math
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.models.settings import check_sampling


class NonFiniteLogitsError(RuntimeError):
    """The logits are not finite: the weights are damaged, or the model diverged."""


@dataclass(frozen=True)
class Sampling:
    """Settings for choosing the next token.

    Attributes:
        temperature: divides the logits; 0 always takes the most likely token.
        top_k: keep only the k most likely tokens.
        top_p: keep the smallest set of most likely tokens whose probability reaches p (Holtzman et al. 2020).
        seed: random seed; a row's tokens do not depend on other rows of its batch. A generator uses 64 bits of it.
        stop_tokens: a row ends when it generates one of these, which is then its last token.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0
    stop_tokens: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_sampling(self.temperature, self.top_k, self.top_p)

    def for_row(self, row: int) -> "Sampling":
        """The same settings with the seed of row `row`: `seed` + `row`, so that equal prompts get different texts.

        Every batch takes its rows' seeds from here; row 0 has the request's own.
        """
        return replace(self, seed=self.seed + row)

    def generator(self) -> torch.Generator:
        """The random-number generator of a row."""
        return torch.Generator().manual_seed(self.seed % (1 << 64))


def row_settings(sampling: Sampling | Sequence[Sampling], rows: int) -> list[Sampling]:
    """The settings of each row of a batch: `for_row` of a single one, or the given list.

    Raises:
        ValueError: the number of settings is wrong.
    """
    if isinstance(sampling, Sampling):
        return [sampling.for_row(row) for row in range(rows)]
    if len(sampling) != rows:
        raise ValueError(f"{len(sampling)} sampling settings for {rows} prompts: give one, or one each")
    return list(sampling)


class RequestSeeds:
    """Seeds for the requests of an eval, from the request's text and its number of earlier occurrences.

    So the order of requests does not matter, repeats differ, and the same eval gives the same texts again. Thread-safe.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def next(self, text: str) -> int:
        """The next seed (48 bits) for `text`, which identifies equal requests."""
        with self._lock:
            times = self._asked[text]
            self._asked[text] += 1
        return int.from_bytes(hashlib.sha256(f"{self._seed}/{times}/{text}".encode("utf-8", "replace")).digest()[:6])


def sample_rows(
    logits: Float[Tensor, "b v"], settings: Sequence[Sampling], generators: Sequence[torch.Generator]
) -> tuple[list[int], list[float]]:
    """Choose a token per row; returns the tokens and their log-probabilities under the unmodified logits.

    A row draws one number from its own (CPU) generator and takes the token at which its cumulative probability passes
    that number: so a row's tokens do not depend on the others, and the batch needs one pass, on the logits' device.

    Raises:
        NonFiniteLogitsError: the logits are not finite.
    """
    chosen = logits.argmax(-1)
    if any(s.temperature > 0 for s in settings):
        temperatures = logits.new_tensor([s.temperature for s in settings]).unsqueeze(1)
        # Less the largest, so that no quotient overflows; a temperature below 1e-6 is 0 for fp32's eyes.
        scaled = (logits - logits.amax(-1, keepdim=True)) / temperatures.clamp(min=1e-6)
        kept = filter_rows(scaled, [s.top_k for s in settings], [s.top_p for s in settings])
        cumulative = torch.softmax(kept, dim=-1).cumsum(-1)
        numbers = [
            float(torch.rand((), generator=generator)) if s.temperature > 0 else 0.0
            for s, generator in zip(settings, generators, strict=True)
        ]
        passed = logits.new_tensor(numbers).unsqueeze(1) * cumulative[:, -1:]
        drawn = torch.searchsorted(cumulative, passed, right=True).squeeze(1).clamp(max=logits.shape[1] - 1)
        chosen = torch.where(temperatures.squeeze(1) > 0, drawn, chosen)
    own = logits.gather(1, chosen.unsqueeze(1)).squeeze(1) - logits.logsumexp(-1)
    logprobs: list[float] = own.tolist()
    if not all(map(math.isfinite, logprobs)):
        raise NonFiniteLogitsError(
            "the model's logits are not finite: its weights are damaged or its training diverged"
        )
    return chosen.tolist(), logprobs


def filter_rows(
    logits: Float[Tensor, "b v"], top_k: Sequence[int | None], top_p: Sequence[float | None]
) -> Float[Tensor, "b v"]:
    """Set logits to -inf by each row's top-k, then top-p. The most likely token always stays."""
    size = logits.shape[-1]
    limits = [size if k is None else min(k, size) for k in top_k]
    if (most := max((k for k in limits if k < size), default=0)) > 0:
        place = torch.tensor([min(k, most) - 1 for k in limits], device=logits.device).unsqueeze(1)
        kth = logits.topk(most).values.gather(1, place)
        unlimited = torch.tensor([k == size for k in limits], device=logits.device).unsqueeze(1)
        logits = logits.masked_fill((logits < kth) & ~unlimited, float("-inf"))
    if any(p is not None and p < 1 for p in top_p):
        ordered, order = logits.sort(descending=True)
        before = torch.softmax(ordered, dim=-1).cumsum(-1).roll(1, dims=-1)
        before[:, 0] = 0
        shares = logits.new_tensor([math.inf if p is None or p == 1 else p for p in top_p]).unsqueeze(1)
        dropped = torch.zeros_like(logits, dtype=torch.bool).scatter(1, order, before >= shares)
        logits = logits.masked_fill(dropped, float("-inf"))
    return logits


def sample(logits: Float[Tensor, " v"], sampling: Sampling, generator: torch.Generator) -> tuple[int, float]:
    """Choose one token; returns it with its log-probability under the unmodified logits."""
    tokens, logprobs = sample_rows(logits.unsqueeze(0), [sampling], [generator])
    return tokens[0], logprobs[0]


def filtered(logits: Float[Tensor, " v"], top_k: int | None, top_p: float | None) -> Float[Tensor, " v"]:
    """`filter_rows` for one row."""
    return filter_rows(logits.unsqueeze(0), [top_k], [top_p])[0]
