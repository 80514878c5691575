"""Statistics agree with their closed forms and with other libraries."""

import math
import statistics

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings

from gpt_from_scratch.evals.protocol import stats


@settings(deadline=None)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_a_proportions_interval_is_scipys_exact_one(counts: tuple[int, int], confidence: float) -> None:
    successes, n = counts
    expected = scipy.stats.binomtest(successes, n).proportion_ci(confidence, method="exact")
    assert stats.proportion_interval(successes, n, confidence) == pytest.approx(tuple(expected), abs=1e-9)


def test_what_no_interval_can_be_made_of() -> None:
    with pytest.raises(ValueError, match="n >= 1"):
        stats.proportion_interval(0, 0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        stats.proportion_interval(1, 2, 95)
    for scores in ([], [1.5, 0.0], [math.nan], [-0.1]):
        with pytest.raises(ValueError, match="scores from 0 to 1, at least one"):
            stats.interval(scores)
    with pytest.raises(ValueError, match="needs scores from 0 to 1"):
        stats.paired_difference({"a": 0.0}, {"a": 2.0})


@settings(deadline=None)
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


scores_of_any_kind = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5]), min_size=1, max_size=40)


@settings(max_examples=40, deadline=None)
@given(scores_of_any_kind, st.integers(1, 5), st.floats(0.5, 0.999))
def test_an_interval_has_width_holds_the_mean_and_stays_within_0_and_1(
    scores: list[float], epochs: int, confidence: float
) -> None:
    low, high = stats.interval(scores, confidence=confidence)
    assert 0 <= low < high <= 1 and low - 1e-9 <= statistics.fmean(scores) <= high + 1e-9
    clusters = list(range(len(scores))) * epochs
    assert stats.interval(scores * epochs, clusters, confidence) == pytest.approx((low, high), abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 6)), min_size=2, max_size=20))
def test_clusters_of_any_size(clusters: list[tuple[float, int]]) -> None:
    scores = [score for score, size in clusters for _ in range(size)]
    names = [name for name, (_, size) in enumerate(clusters) for _ in range(size)]
    low, high = stats.interval(scores, names)
    assert 0 <= low < high <= 1 and low - 1e-9 <= statistics.fmean(scores) <= high + 1e-9


@pytest.mark.parametrize("scores", [[0.8], [0.2, 0.8], [0.0, 0.0, 0.5, 1.0, 1.0], [0.0] * 9 + [0.5], [0.3] * 12])
def test_the_saddlepoint_is_as_good_as_a_million_draws(scores: list[float]) -> None:
    """Gaffke's bound by its definition: a quantile over random weights, with one more value of 1."""
    draws = np.random.default_rng(0).dirichlet(np.ones(len(scores) + 1), size=500_000) @ [*scores, 1.0]
    assert stats.interval(scores)[1] == pytest.approx(float(np.quantile(draws, 0.975)), abs=3e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_for_scores_of_0_and_1_it_is_clopper_and_pearsons(counts: tuple[int, int]) -> None:
    ones, n = counts
    scores = [1.0] * ones + [0.0] * (n - ones)
    assert stats.interval(scores) == stats.proportion_interval(ones, n)
    nearly = [0.999999 * score for score in scores]  # so that the general method is taken
    assert stats.interval(nearly) == pytest.approx(stats.proportion_interval(ones, n), abs=4e-3)


@pytest.mark.parametrize("n", [1, 3, 10, 30, 100])
@pytest.mark.parametrize("p", [0.003, 0.02, 0.1, 0.3, 0.5, 0.9, 0.997])
def test_exact_coverage_of_a_proportion(n: int, p: float) -> None:
    held = [low <= p <= high for low, high in (stats.proportion_interval(k, n) for k in range(n + 1))]
    assert float(scipy.stats.binom.pmf(np.arange(n + 1), n, p) @ held) >= 0.95


DRAWS = {
    "graded": lambda rng, n: rng.choice([0.0, 0.25, 0.5, 0.75, 1.0], size=n, p=[0.1, 0.1, 0.2, 0.2, 0.4]),
    "nearly always 1": lambda rng, n: rng.choice([1.0, 0.9, 0.0], size=n, p=[0.9, 0.05, 0.05]),
    "skewed": lambda rng, n: rng.beta(0.2, 3.0, size=n),
    "even": lambda rng, n: rng.random(n),
}
TRUTHS = {"graded": 0.675, "nearly always 1": 0.945, "skewed": 0.2 / 3.2, "even": 0.5}


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("n", [10, 40])
def test_coverage_of_a_mean(kind: str, n: int) -> None:
    rng = np.random.default_rng(n)
    held = 0
    for _ in range(200):
        low, high = stats.interval(DRAWS[kind](rng, n).tolist())
        held += low <= TRUTHS[kind] <= high
    assert held / 200 >= 0.93


@pytest.mark.parametrize(("n", "epochs"), [(10, 5), (30, 3)])
def test_coverage_over_epochs(n: int, epochs: int) -> None:
    """Questions that are hard or easy for good: their epochs go together."""
    rng, held = np.random.default_rng(0), 0
    clusters = np.repeat(np.arange(n), epochs).tolist()
    for _ in range(200):
        chance = np.repeat(rng.beta(0.5, 0.5, size=n), epochs)
        low, high = stats.interval((rng.random(n * epochs) < chance).astype(float).tolist(), clusters)
        held += low <= 0.5 <= high
    assert held / 200 >= 0.93


@pytest.mark.parametrize("n", [10, 25])
@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
@pytest.mark.parametrize("better", [0.5, 0.8, 1.0])
def test_exact_coverage_of_a_paired_difference(n: int, share: float, better: float) -> None:
    """Every outcome of n pairs, of which `share` differ and `better` of those for the better, by its probability."""
    truth, held = share * (2 * better - 1), 0.0
    for up in range(n + 1):
        for down in range(n + 1 - up):
            chances = [share * better, share * (1 - better), 1 - share]
            chance = float(scipy.stats.multinomial.pmf([up, down, n - up - down], n, chances))
            if chance > 1e-6:
                low, high = pairs([1.0] * up + [-1.0] * down + [0.0] * (n - up - down)).interval
                held += chance * (low - 1e-12 <= truth <= high + 1e-12)
    assert held >= 0.94


def pairs(differences: list[float]) -> stats.PairedDifference:
    a = {str(i): max(0.0, -difference) for i, difference in enumerate(differences)}
    return stats.paired_difference(a, {str(i): max(0.0, d) for i, d in enumerate(differences)})


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=60)
    | st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=30)
    | st.lists(st.floats(-1, 1), min_size=1, max_size=20)
    | st.tuples(st.floats(-1, 1), st.integers(1, 40)).map(lambda pair: [pair[0]] * pair[1])
)
def test_the_interval_and_the_p_value_of_a_pair_agree(differences: list[float]) -> None:
    result = pairs(differences)
    low, high = result.interval
    assert -1 <= low < high <= 1 and low - 1e-9 <= result.difference <= high + 1e-9
    assert 0 < result.p_value <= 1 and (result.p_value < 0.05) == (low > 0 or high < 0)


def test_few_pairs_and_equal_runs() -> None:
    five = pairs([1.0] * 5)
    assert five.p_value == 0.0625 and five.interval == pytest.approx((-0.0436, 1.0), abs=5e-3)
    assert pairs([1.0] * 6).interval[0] > 0
    none = pairs([0.0] * 30)
    assert none.p_value == 1 and none.interval == pytest.approx((-0.1157, 0.1157), abs=2e-3)
    nine_small_gains_and_a_large_loss = pairs([0.1] * 9 + [-0.9])  # the mean is 0, though nine of ten are better
    assert nine_small_gains_and_a_large_loss.p_value > 0.9


def test_the_interval_of_a_sum() -> None:
    """As wide as the root of the sum of squares, on each side, and never without width."""
    assert stats.interval_of_sum([(0.5, (0.4, 0.7)), (0.25, (0.25, 0.3))]) == pytest.approx(
        (0.75 - 0.1, 0.75 + math.hypot(0.2, 0.05))
    )
    perfect = [(1.0, stats.proportion_interval(20, 20)) for _ in range(3)]
    low, high = stats.interval_of_sum(perfect)
    assert 2 < low < high == 3
    rng, held, truths = np.random.default_rng(1), 0, (0.05, 0.5, 0.9)
    for _ in range(200):
        counts = [int(rng.binomial(20, p)) for p in truths]
        low, high = stats.interval_of_sum([(k / 20, stats.proportion_interval(k, 20)) for k in counts])
        held += low <= sum(truths) <= high
    assert held / 200 >= 0.93


def test_a_paired_difference_sees_what_two_intervals_hide() -> None:
    a = {f"q{i}": float(i % 10 < 5) for i in range(200)}
    b = a | {f"q{i}": 1.0 for i in range(5, 125, 10)} | {"only b": 1.0}
    result = stats.paired_difference(a, b)
    assert (result.n, result.better, result.worse, result.unpaired) == (200, 12, 0, 1)
    assert result.difference == pytest.approx(0.06) and result.interval[0] > 0
    assert stats.proportion_interval(100, 200)[1] > stats.proportion_interval(112, 200)[0], "the two overlap"
    assert result.p_value == pytest.approx(scipy.stats.binomtest(12, 12).pvalue)
    with pytest.raises(ValueError, match="scores from 0 to 1"):
        stats.paired_difference({"a": 5.0}, {"a": 5.0})
    with pytest.raises(ValueError, match="share no sample"):
        stats.paired_difference({"a": 1.0}, {"b": 1.0})


@settings(deadline=None)
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
