import math
import random
import statistics

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings

from gpt_from_scratch.evals import stats


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_is_scipys(counts: tuple[int, int], confidence: float) -> None:
    successes, n = counts
    expected = scipy.stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    assert stats.wilson_interval(successes, n, confidence) == pytest.approx(tuple(expected), abs=1e-9)


def test_wilson_at_the_ends_and_in_the_middle() -> None:
    assert stats.wilson_interval(0, 10)[0] == 0.0 and stats.wilson_interval(10, 10)[1] == 1.0
    low, high = stats.wilson_interval(0.2955 * 10042, 10042)
    assert (round(low, 4), round(high, 4)) == (0.2867, 0.3045)
    with pytest.raises(ValueError, match="n >= 1"):
        stats.wilson_interval(0, 0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        stats.wilson_interval(1, 2, 95)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=50))
def test_without_clusters_it_is_the_standard_error(scores: list[float]) -> None:
    expected = statistics.stdev(scores) / math.sqrt(len(scores))
    assert stats.clustered_standard_error(scores) == pytest.approx(expected, abs=1e-12)


def test_repeating_every_score_does_not_make_it_surer() -> None:
    scores = [0.0, 1.0, 1.0, 0.0, 1.0, 0.25]
    clusters = list(range(6))
    once, thrice = stats.clustered_standard_error(scores), stats.clustered_standard_error(scores * 3, clusters * 3)
    assert thrice == pytest.approx(once) and stats.clustered_standard_error(scores * 3) < once
    assert stats.clustered_standard_error([1.0, 0.0], ["same", "same"]) == 0.0
    with pytest.raises(ValueError, match="no scores"):
        stats.clustered_standard_error([])


def test_the_clustered_error_is_the_true_spread_of_the_mean() -> None:
    """Means of many drawn data sets spread as the estimate says, where the naive one is half as large."""
    rng = np.random.default_rng(0)
    means, estimates, naive = [], [], []
    clusters = np.repeat(np.arange(40), 5).tolist()
    for _ in range(300):
        scores = (np.repeat(rng.normal(size=40), 5) + 0.5 * rng.normal(size=200)).tolist()
        means.append(statistics.fmean(scores))
        estimates.append(stats.clustered_standard_error(scores, clusters))
        naive.append(stats.clustered_standard_error(scores))
    truth = statistics.stdev(means)
    assert statistics.fmean(estimates) == pytest.approx(truth, rel=0.1)
    assert statistics.fmean(naive) < 0.6 * truth


def test_bootstrap() -> None:
    rng = random.Random(1)
    scores = [rng.random() for _ in range(200)]
    low, high = stats.bootstrap_interval(scores, seed=0)
    error = stats.clustered_standard_error(scores)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.1)
    assert (low, high) == stats.bootstrap_interval(scores, seed=0) != stats.bootstrap_interval(scores, seed=1)
    wide = stats.bootstrap_interval(scores * 4, list(range(200)) * 4, seed=0)
    assert wide[1] - wide[0] == pytest.approx(high - low, rel=0.1), "whole clusters are drawn"


def test_the_interval_that_fits() -> None:
    assert stats.interval([1, 0, 1]) == stats.wilson_interval(2, 3)
    assert stats.interval([0.5, 0.25, 1.0]) == stats.bootstrap_interval([0.5, 0.25, 1.0])
    low, high = stats.interval([1, 0, 1, 1], ["a", "a", "b", "b"])
    half = 1.959964 * stats.clustered_standard_error([1, 0, 1, 1], ["a", "a", "b", "b"])
    assert (low, high) == pytest.approx((0.75 - half, 0.75 + half))


def test_a_paired_difference_sees_what_two_intervals_hide() -> None:
    a = {f"q{i}": float(i % 10 < 5) for i in range(200)}
    b = a | {f"q{i}": 1.0 for i in range(5, 125, 10)} | {"only b": 1.0}
    result = stats.paired_difference(a, b)
    assert (result.n, result.better, result.worse, result.unpaired) == (200, 12, 0, 1)
    assert result.difference == pytest.approx(0.06) and result.interval[0] > 0
    assert stats.wilson_interval(100, 200)[1] > stats.wilson_interval(112, 200)[0], "the two intervals overlap"
    assert result.p_value == pytest.approx(scipy.stats.binomtest(12, 12).pvalue)
    with pytest.raises(ValueError, match="share no sample"):
        stats.paired_difference({"a": 1.0}, {"b": 1.0})


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=60))
def test_equal_sizes_are_mcnemars_exact_test(differences: list[float]) -> None:
    up, down = differences.count(1.0), differences.count(-1.0)
    expected = scipy.stats.binomtest(up, up + down).pvalue if up + down else 1.0
    assert stats.sign_flip_p_value(differences) == pytest.approx(expected)


@settings(max_examples=6, deadline=None)
@given(st.lists(st.floats(-1, 1).filter(lambda x: abs(x) > 1e-3), min_size=8, max_size=12, unique=True))
def test_random_flips_come_near_all_flips(differences: list[float]) -> None:
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(differences))).reshape(len(differences), -1).T
    exact = float((np.abs(signs @ np.abs(differences)) >= abs(math.fsum(differences)) - 1e-9).mean())
    assert stats.sign_flip_p_value(differences) == pytest.approx(exact, abs=0.03)
