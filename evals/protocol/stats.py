"""Statistics of scores: confidence intervals, clustered standard errors, and paired differences of two runs.

Scores lie between 0 and 1, and so do the means of a question's epochs: that is all the intervals assume of them.

Sources: Clopper and Pearson 1934 for proportions; Gaffke 2005 for other bounded scores, with the saddlepoint formula of
Lugannani and Rice 1980; Zou and Donner 2008 for sums of several means; McNemar 1947 and Miller 2024, "Adding error bars to
evals" (arXiv 2411.00640), for pairs and clusters. `benchmarks/evals/interval_coverage.py` simulates
how often each interval holds the truth.
"""

import dataclasses
import math
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

_DISTANCES = -80.0, 40.0  # logarithms: from the best value itself to the mean


def _share(confidence: float) -> float:
    """Error probability of each side of an interval."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is between 0 and 1, such as 0.95, not {confidence}")
    return (1 - confidence) / 2


def proportion_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's exact interval of a proportion: it holds the truth at least as often as it says, for every n.

    Raises:
        ValueError: not 0 <= successes <= n with n >= 1, or a confidence outside 0 to 1.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a proportion needs 0 <= successes <= n and n >= 1, not {successes} of {n}")
    share = _share(confidence)
    low = _root(lambda p: _at_least(successes, n, p) - share, 0.0, 1.0) if successes else 0.0
    high = _root(lambda p: share - _at_least(n - successes, n, 1 - p), 0.0, 1.0) if successes < n else 1.0
    return low, high


def _at_least(k: int, n: int, p: float) -> float:
    """The probability of k successes or more in n trials."""
    if p <= 0 or p >= 1:
        return float(p >= 1 or k == 0)
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])  # of the factorials
    counts = np.arange(k, n + 1)
    terms = logs[n] - logs[counts] - logs[n - counts] + counts * math.log(p) + (n - counts) * math.log1p(-p)
    return float(np.exp(terms).sum())


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Root of an increasing function, by bisection."""
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


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


def interval(
    scores: Sequence[float], clusters: Sequence[Hashable] | None = None, confidence: float = 0.95
) -> tuple[float, float]:
    """The interval of a mean of scores from 0 to 1: never empty, never outside 0 to 1, for any number of scores.

    Clusters count as one observation each, however many scores they have. Where all of them are 0 or 1 it is Clopper and
    Pearson's, else Gaffke's, of which that is a special case.

    Raises:
        ValueError: no scores, or one outside 0 to 1.
    """
    if not scores or not all(0 <= score <= 1 for score in scores):
        raise ValueError(f"an interval needs scores from 0 to 1, at least one, not {list(scores)[:5]}")
    means, sizes = _by_cluster(scores, clusters)
    if (sizes == sizes[0]).all() and np.isin(means, (0.0, 1.0)).all():
        return proportion_interval(int(means.sum()), len(means), confidence)
    share = _share(confidence)
    return 1 - _upper_bound(1 - means, sizes, share), _upper_bound(means, sizes, share)


def _by_cluster(
    scores: Sequence[float], clusters: Sequence[Hashable] | None
) -> tuple[Float[np.ndarray, " c"], Float[np.ndarray, " c"]]:
    """Each cluster's mean score and number of scores."""
    groups: dict[Hashable, list[float]] = {}
    for cluster, score in zip(range(len(scores)) if clusters is None else clusters, scores, strict=True):
        groups.setdefault(cluster, []).append(score)
    means = [math.fsum(group) / len(group) for group in groups.values()]
    return np.array(means, dtype=np.float64), np.array([len(group) for group in groups.values()], dtype=np.float64)


def _upper_bound(means: Float[np.ndarray, " c"], sizes: Float[np.ndarray, " c"], share: float) -> float:
    """Gaffke's upper bound of a mean of values up to 1, which `share` of all samples miss.

    It is a quantile of Σ Dᵢ zᵢ, where z are the values and one more of 1, and D is drawn from a Dirichlet distribution
    with a share for each. Clusters of unequal size get shares that give the weighted mean the variance that it has.
    """
    values, shares = _with_the_worst(means, sizes)
    distance = math.exp(_root(lambda x: _beyond(values, shares, math.exp(x))[1] - share, *_DISTANCES))
    return min(1.0, _beyond(values, shares, distance)[0])


def _with_the_worst(
    means: Float[np.ndarray, " c"], sizes: Float[np.ndarray, " c"]
) -> tuple[Float[np.ndarray, " v"], Float[np.ndarray, " v"]]:
    """The distinct values with a 1 added, and the Dirichlet's parameter of each."""
    weights = sizes / sizes.sum()
    shares = weights / (weights * weights).sum()  # they sum to Kish's effective number of clusters
    values, places = np.unique(np.append(means, 1.0), return_inverse=True)
    return values, np.bincount(places, weights=np.append(shares, 1.0))


def _tail(means: Float[np.ndarray, " c"], sizes: Float[np.ndarray, " c"], point: float) -> float:
    """The share for which `point` is the upper bound; 1/2 where that would be below the mean."""
    values, shares = _with_the_worst(means, sizes)
    x = _root(lambda x: point - _beyond(values, shares, math.exp(x))[0], *_DISTANCES)
    return _beyond(values, shares, math.exp(x))[1]


def _beyond(values: Float[np.ndarray, " v"], shares: Float[np.ndarray, " v"], distance: float) -> tuple[float, float]:
    """A point above the mean of Σ Dᵢ zᵢ, and the probability to lie beyond it, by the saddlepoint formula.

    Σ Dᵢ zᵢ > t means Σ Eᵢ (zᵢ - t) > 0 for independent gamma variables Eᵢ. The cumulants of that sum have their saddlepoint
    at s = 1 / (h - t), which gives t for every h beyond the largest value: nothing is left to solve for.

    distance: h - 1; the point falls from 1 to the mean as it grows
    """
    gaps = (1 - values) + distance
    to_point = float(shares.sum()) / float((shares / gaps).sum())
    ratios = gaps / to_point  # 1 - s (z - t)
    r = math.sqrt(max(0.0, 2 * float((shares * np.log(ratios)).sum())))
    u = math.sqrt(float((shares * ((1 - ratios) / ratios) ** 2).sum()))
    point = 1 + distance - to_point
    if min(r, u) < 1e-3:  # at the mean the two terms of the formula cancel
        return point, 0.5
    density = math.exp(-r * r / 2) / math.sqrt(2 * math.pi)
    return point, max(0.0, 0.5 * math.erfc(r / math.sqrt(2)) + density * (1 / u - 1 / r))


def interval_of_sum(parts: Sequence[tuple[float, tuple[float, float]]]) -> tuple[float, float]:
    """The interval of a sum of independent estimates, each given with its own interval (Zou and Donner's MOVER)."""
    total = math.fsum(estimate for estimate, _ in parts)
    below = math.sqrt(math.fsum((estimate - low) ** 2 for estimate, (low, _) in parts))
    above = math.sqrt(math.fsum((high - estimate) ** 2 for estimate, (_, high) in parts))
    return total - below, total + above


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """Two runs over the same samples: `difference` is the mean of b - a, with its standard error and interval.

    better, worse: samples where b scores higher, lower
    interval: of the difference, within -1 to 1; it leaves out 0 where, and only where, p_value < 1 - confidence
    p_value: of no difference; McNemar's exact one where scores are 0 and 1, else the larger of the interval's own and
        that of swapping the runs' labels at random (`sign_flip_p_value`), which takes differences for symmetric
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

    a, b: mean score by sample, from 0 to 1

    Raises:
        ValueError: no sample is in both, or a score outside 0 to 1.
    """
    shared = [key for key in a if key in b]
    if not shared:
        raise ValueError("the two runs share no sample: a paired difference needs the same samples in both")
    if not all(0 <= run[key] <= 1 for run in (a, b) for key in shared):
        raise ValueError("a paired difference needs scores from 0 to 1")
    differences = [b[key] - a[key] for key in shared]
    n, mean = len(shared), math.fsum(b[key] - a[key] for key in shared) / len(shared)
    halves = np.array([(1 + difference) / 2 for difference in differences])  # 0 to 1, and 1/2 for no difference
    sizes, share = np.ones(n), _share(confidence)
    low, high = 1 - 2 * _upper_bound(1 - halves, sizes, share), 2 * _upper_bound(halves, sizes, share) - 1
    p_value = sign_flip_p_value(differences, seed=seed)
    if not set(differences) <= {-1.0, 0.0, 1.0}:
        p_value = max(p_value, 2 * min(_tail(halves, sizes, 0.5), _tail(1 - halves, sizes, 0.5)))
    if p_value >= 1 - confidence:
        low, high = min(low, 0.0), max(high, 0.0)
    return PairedDifference(
        n=n,
        mean_a=math.fsum(a[key] for key in shared) / n,
        mean_b=math.fsum(b[key] for key in shared) / n,
        difference=mean,
        standard_error=clustered_standard_error(differences),
        interval=(low, high),
        better=sum(d > 0 for d in differences),
        worse=sum(d < 0 for d in differences),
        p_value=min(1.0, p_value),
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
    rng, sizes = np.random.default_rng(seed), np.abs(np.asarray(moved))
    observed = abs(math.fsum(moved)) - 1e-12 * math.fsum(sizes)  # the matrix product's rounding
    as_large = done = 0
    while done < flips:  # in pieces of bounded memory
        count = min(flips - done, max(1, 2_000_000 // len(moved)))
        signs = rng.integers(0, 2, size=(count, len(moved)), dtype=np.int8) * 2 - 1
        as_large += int((np.abs(signs @ sizes) >= observed).sum())
        done += count
    return (as_large + 1) / (flips + 1)  # the observed labelling is one of them
