"""The order of samples: a pure function, a permutation in each epoch, and the same for any number of ranks."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_from_scratch.training.data.sampler import permuted, rank_part, round_keys, sample_ids

SEEDS = st.integers(0, 2**63)


@settings(deadline=None)
@given(n=st.integers(1, 3000), seed=SEEDS, epoch=st.integers(0, 2**40))
def test_an_epoch_is_a_permutation(n: int, seed: int, epoch: int) -> None:
    order = permuted(np.arange(n, dtype=np.uint64), n, round_keys(seed, epoch))
    assert sorted(order.tolist()) == list(range(n))


@settings(max_examples=40, deadline=None)
@given(
    n_samples=st.integers(1, 200),
    batch_size=st.integers(1, 50),
    n_ranks=st.integers(1, 8),
    seed=SEEDS,
    first=st.integers(0, 10**9),
)
def test_each_sample_comes_once_an_epoch_for_any_number_of_ranks(
    n_samples: int, batch_size: int, n_ranks: int, seed: int, first: int
) -> None:
    """From any epoch's first position on, the parts of all ranks together are that epoch, then the next one."""
    step = first * n_samples  # the batch of this step begins an epoch
    n_steps = -(-2 * n_samples // batch_size)
    served: list[int] = []
    for at in range(step, step + n_steps):
        ids = sample_ids(seed, at, batch_size, n_samples)
        parts = [rank_part(ids, rank, n_ranks) for rank in range(n_ranks)]
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        served += [sample for part in parts for sample in part.tolist()]
    assert sorted(served[:n_samples]) == sorted(served[n_samples : 2 * n_samples]) == list(range(n_samples))


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, step=st.integers(0, 10**6), batch_size=st.integers(1, 40), n_samples=st.integers(1, 500))
def test_the_order_does_not_depend_on_how_it_is_asked_for(
    seed: int, step: int, batch_size: int, n_samples: int
) -> None:
    """A batch of b is b batches of 1: the order is one endless sequence."""
    single = [sample_ids(seed, step * batch_size + i, 1, n_samples)[0] for i in range(batch_size)]
    assert sample_ids(seed, step, batch_size, n_samples).tolist() == single


def test_the_order_is_this_one_for_good() -> None:
    """A saved run goes on with it: a change of the network would feed other samples after a resume."""
    assert sample_ids(0, 0, 8, 1000).tolist() == [618, 380, 283, 620, 17, 145, 168, 738]
    assert sample_ids(0, 10**15, 3, 10**13).tolist() == [770434419061, 4736605662595, 7573862760197]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(sample_ids(seed, epoch, 50, 50)) for seed in range(20) for epoch in range(20)}
    assert len(orders) == 400


@pytest.mark.parametrize("n", [5, 17, 50])
def test_the_permutations_look_random(n: int) -> None:
    """Chi-square of where each place goes, over 1,000 epochs: (n-1)² degrees of freedom, within 6 standard deviations."""
    epochs = 1000
    counts = np.zeros((n, n))
    for epoch in range(epochs):
        counts[np.arange(n), permuted(np.arange(n, dtype=np.uint64), n, round_keys(0, epoch)).astype(int)] += 1
    chi2 = float(((counts - epochs / n) ** 2 / (epochs / n)).sum())
    degrees = (n - 1) ** 2
    assert abs(chi2 - degrees) < 6 * (2 * degrees) ** 0.5


def test_neighbours_do_not_stay_neighbours() -> None:
    order = permuted(np.arange(10_000, dtype=np.uint64), 10_000, round_keys(3, 0)).astype(np.int64)
    steps = Counter(np.abs(np.diff(order)).tolist())
    assert abs(np.abs(np.diff(order)).mean() - 10_000 / 3) < 100
    assert steps.most_common(1)[0][1] < 20


def test_the_far_end_of_a_long_run_costs_no_replay() -> None:
    ids = sample_ids(1, 10**12, 512, 10**10)
    assert len(set(ids.tolist())) == 512 and ids.min() >= 0 and ids.max() < 10**10


@pytest.mark.parametrize("given_", [(-1, 4, 4), (0, 0, 4), (0, 4, 0)])
def test_impossible_settings_are_refused(given_: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        sample_ids(0, *given_)
    with pytest.raises(ValueError, match="rank 2 of 2"):
        rank_part(np.arange(4), 2, 2)
