"""How sure a score is: intervals, standard errors over clusters, and the paired difference of two runs.

Sources: Wilson 1927 for the score interval; Miller 2024, "Adding error bars to evals" (arXiv 2411.00640), for clusters
and pairs; Efron 1979 for the bootstrap. Plain Python: an eval's rows are few.
"""

import dataclasses
import math
import random
import statistics
from collections.abc import Hashable, Mapping, Sequence


def _z(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is between 0 and 1, such as 0.95, not {confidence}")
    return statistics.NormalDist().inv_cdf((1 + confidence) / 2)


def wilson_interval(successes: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion; never outside 0 to 1, and right for few samples and for 0 or n successes."""
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a proportion needs 0 <= successes <= n and n >= 1, not {successes} of {n}")
    z = _z(confidence)
    p, spread = successes / n, z * z / n
    centre = (p + spread / 2) / (1 + spread)
    half = z * math.sqrt(p * (1 - p) / n + spread / (4 * n)) / (1 + spread)
    return (max(0.0, centre - half) if successes else 0.0), (min(1.0, centre + half) if successes < n else 1.0)


def clustered_standard_error(scores: Sequence[float], clusters: Sequence[Hashable] | None = None) -> float:
    """The standard error of the mean where scores of one cluster (a sample's epochs, a passage's questions) go together.

    sqrt(c/(c-1) · Σ over clusters of (Σ residuals)²) / n for c clusters; with every score its own cluster this is the
    usual s/sqrt(n). 0 for a single cluster, which tells nothing.
    """
    n = len(scores)
    if n == 0:
        raise ValueError("no scores: a standard error needs at least one")
    mean = math.fsum(scores) / n
    sums: dict[Hashable, float] = {}
    for cluster, score in zip(range(n) if clusters is None else clusters, scores, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + score - mean
    c = len(sums)
    if c == 1:
        return 0.0
    return math.sqrt(c / (c - 1) * math.fsum(total * total for total in sums.values())) / n


def bootstrap_interval(
    scores: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """The percentile interval of the mean over resamples of whole clusters, with replacement."""
    if not scores:
        raise ValueError("no scores: a bootstrap needs at least one")
    groups: dict[Hashable, tuple[float, int]] = {}
    for cluster, score in zip(range(len(scores)) if clusters is None else clusters, scores, strict=True):
        total, count = groups.get(cluster, (0.0, 0))
        groups[cluster] = total + score, count + 1
    values, rng = list(groups.values()), random.Random(seed)
    means = []
    for _ in range(resamples):
        drawn = rng.choices(values, k=len(values))
        means.append(math.fsum(total for total, _ in drawn) / sum(count for _, count in drawn))
    means.sort()
    tail = (1 - confidence) / 2
    return means[round(tail * (resamples - 1))], means[round((1 - tail) * (resamples - 1))]


def interval(
    scores: Sequence[float], clusters: Sequence[Hashable] | None = None, confidence: float = 0.95
) -> tuple[float, float]:
    """The interval that fits: Wilson's for independent scores of 0 and 1, the normal one with the clustered standard
    error for several scores a cluster, and the bootstrap's for other scores.
    """
    if clusters is not None and len(set(clusters)) < len(scores):
        mean, half = math.fsum(scores) / len(scores), _z(confidence) * clustered_standard_error(scores, clusters)
        return mean - half, mean + half
    if all(score in (0, 1) for score in scores):
        return wilson_interval(sum(scores), len(scores), confidence)
    return bootstrap_interval(scores, confidence=confidence)


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """Two runs over the same samples: `difference` is the mean of b - a, with its standard error and interval.

    better, worse: samples where b scores higher, lower
    p_value: how often a difference at least as large comes when the runs' labels are swapped at random (sign flips)
    unpaired: samples that only one of the runs answered; they are not part of the difference
    """

    n: int
    mean_a: float
    mean_b: float
    difference: float
    standard_error: float
    interval: tuple[float, float]
    better: int
    worse: int
    p_value: float
    unpaired: int


def paired_difference(
    a: Mapping[str, float], b: Mapping[str, float], *, confidence: float = 0.95, seed: int = 0
) -> PairedDifference:
    """The difference of two runs, sample by sample: what both find hard cancels out, so it is surer than two intervals.

    a, b: mean score by sample

    Raises:
        ValueError: no sample is in both.
    """
    shared = [key for key in a if key in b]
    if not shared:
        raise ValueError("the two runs share no sample: a paired difference needs the same samples in both")
    differences = [b[key] - a[key] for key in shared]
    n, mean = len(shared), math.fsum(b[key] - a[key] for key in shared) / len(shared)
    error = clustered_standard_error(differences)
    half = _z(confidence) * error
    return PairedDifference(
        n=n,
        mean_a=math.fsum(a[key] for key in shared) / n,
        mean_b=math.fsum(b[key] for key in shared) / n,
        difference=mean,
        standard_error=error,
        interval=(mean - half, mean + half),
        better=sum(d > 0 for d in differences),
        worse=sum(d < 0 for d in differences),
        p_value=sign_flip_p_value(differences, seed=seed),
        unpaired=len(a) + len(b) - 2 * n,
    )


def sign_flip_p_value(differences: Sequence[float], *, flips: int = 10_000, seed: int = 0) -> float:
    """The two-sided p-value of a zero mean when each sign is as likely as the other.

    Exact where every difference has one size (the binomial, as McNemar's exact test), else from random flips.
    """
    moved = [difference for difference in differences if difference != 0]
    if not moved:
        return 1.0
    if len({abs(difference) for difference in moved}) == 1:
        n, fewer = len(moved), min(sum(d > 0 for d in moved), sum(d < 0 for d in moved))
        tail = sum(math.comb(n, k) for k in range(fewer + 1))
        return float(min(1.0, 2 * tail / 2**n))
    import numpy as np

    rng, sizes = np.random.default_rng(seed), np.abs(np.asarray(moved))
    observed = abs(math.fsum(moved)) - 1e-12 * math.fsum(sizes)  # the matrix product's rounding
    as_large = done = 0
    while done < flips:  # in pieces of bounded memory
        count = min(flips - done, max(1, 2_000_000 // len(moved)))
        signs = rng.integers(0, 2, size=(count, len(moved)), dtype=np.int8) * 2 - 1
        as_large += int((np.abs(signs @ sizes) >= observed).sum())
        done += count
    return (as_large + 1) / (flips + 1)  # the observed labelling is one of them
