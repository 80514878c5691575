"""The order of a mixture's samples: a pure function of (seed, step), in which the tokens follow the weights.

Each source has an endless order of its own samples (`sampler.py`). Let T(k) be the number of tokens before its sample k.
The sample is due at time T(k) ÷ weight, and the mixture takes samples by due time. So at every position each source's
tokens are within one sample of its share. A position is found by bisection, without visiting those before it.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from gpt_from_scratch.training.data.mixing.weights import Mixture
from gpt_from_scratch.training.data.sampler import samples_at


class Stream:
    """Endless order of one source's samples, with the number of tokens before each."""

    def __init__(self, seed: int, targets: Int[np.ndarray, " n"] | int, n_samples: int) -> None:
        """`targets`: number of targets of each sample; a single number if (nearly) all have equally many."""
        self.seed, self.n_samples = seed, n_samples
        self.targets = targets
        self.total = targets * n_samples if isinstance(targets, int) else int(targets.sum())
        self._before = functools.lru_cache(maxsize=2)(self._tokens_before_each)

    def _tokens_before_each(self, epoch: int) -> Int[np.ndarray, " n"]:
        order = samples_at(self.seed, epoch * self.n_samples, self.n_samples, self.n_samples)
        assert not isinstance(self.targets, int)
        return np.concatenate([[0], np.cumsum(self.targets[order], dtype=np.int64)])

    def tokens_before(self, k: int) -> int:
        """Number of tokens in the first k samples."""
        epoch, place = divmod(k, self.n_samples)
        inside = place * self.targets if isinstance(self.targets, int) else int(self._before(epoch)[place])
        return epoch * self.total + inside

    def samples_before(self, tokens: int) -> int:
        """Number of samples that have fewer than `tokens` tokens before them."""
        if tokens <= 0:
            return 0
        epoch, inside = divmod(tokens - 1, self.total)
        if isinstance(self.targets, int):
            return epoch * self.n_samples + inside // self.targets + 1
        before = self._before(epoch)[:-1]
        return epoch * self.n_samples + int(np.searchsorted(before, inside, side="right"))


class Order:
    """The order of a mixture's samples."""

    def __init__(self, mixture: Mixture, streams: Sequence[Stream], batch_size: int) -> None:
        self.mixture, self.streams, self.batch_size = mixture, streams, batch_size
        self.begins: list[tuple[int, ...]] = [(0,) * len(streams)]
        """For each phase, the number of samples of each source before it."""
        for number, phase in enumerate(mixture.phases[1:]):
            length = (phase.step - mixture.phases[number].step) * batch_size
            self.begins.append(self._taken(number, length))

    def batch(self, step: int) -> list[tuple[int, int]]:
        """(source, its sample) of the global batch of a step, in order."""
        if step < 0:
            raise ValueError(f"step {step}: steps count from 0")
        number = max(n for n, phase in enumerate(self.mixture.phases) if phase.step <= step)
        first = (step - self.mixture.phases[number].step) * self.batch_size
        counts = self._taken(number, first)
        due: list[tuple[int, int, int]] = []
        for source, (stream, weight) in enumerate(zip(self.streams, self.mixture.phases[number].weights, strict=True)):
            if weight:
                scale, start = self._scale(number, source), stream.tokens_before(self.begins[number][source])
                due += [
                    ((stream.tokens_before(k) - start) * scale, source, k)
                    for k in range(counts[source], counts[source] + self.batch_size)
                ]
        chosen = sorted(due)[: self.batch_size]
        samples = {
            source: samples_at(stream.seed, counts[source], self.batch_size, stream.n_samples)
            for source, stream in enumerate(self.streams)
            if any(taken == source for _, taken, _ in chosen)
        }
        return [(source, int(samples[source][k - counts[source]])) for _, source, k in chosen]

    def _scale(self, number: int, source: int) -> int:
        """Time per token of each source in a phase, in whole numbers, so that nothing is rounded."""
        weights = self.mixture.phases[number].weights
        return math.lcm(*filter(None, weights)) // weights[source]

    def _taken(self, number: int, length: int) -> tuple[int, ...]:
        """Number of samples of each source before position `length` of a phase, earlier phases included."""
        weights, begins = self.mixture.phases[number].weights, self.begins[number]
        active = [source for source, weight in enumerate(weights) if weight]
        scales = {source: self._scale(number, source) for source in active}
        starts = {source: self.streams[source].tokens_before(begins[source]) for source in active}

        def before(time: int) -> list[int]:
            """For each source, the number of samples due before `time`: T(k) - start < time ÷ scale."""
            found = list(begins)
            for source in active:
                tokens = starts[source] - (-time // scales[source])
                found[source] = max(begins[source], self.streams[source].samples_before(tokens))
            return found

        wanted = sum(begins) + length
        means = {source: self.streams[source].total / self.streams[source].n_samples for source in active}
        guess = int(length / sum(1 / (means[source] * scales[source]) for source in active))
        reach = int(max(means[source] * scales[source] for source in active)) + 1
        low, high = guess, guess + reach
        while low > 0 and sum(before(low)) > wanted:
            low, high, reach = max(0, low - reach), low, 2 * reach
        while sum(before(high)) <= wanted:
            low, high, reach = high, high + reach, 2 * reach
        while high - low > 1:  # the last time before which at most `length` samples are due
            middle = (low + high) // 2
            low, high = (low, middle) if sum(before(middle)) > wanted else (middle, high)
        taken = before(low)
        for source in active:  # of those that are due at that very time, as many as fit, by the sources' order
            if sum(taken) < wanted and self._is_due_at(number, source, taken[source], low):
                taken[source] += 1
        return tuple(taken)

    def _is_due_at(self, number: int, source: int, k: int, time: int) -> bool:
        stream = self.streams[source]
        tokens = stream.tokens_before(k) - stream.tokens_before(self.begins[number][source])
        return tokens * self._scale(number, source) == time
