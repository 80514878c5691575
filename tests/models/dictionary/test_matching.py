"""Matching learned atoms with the true ones: the assignment against scipy's, and any order and sign."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from gpt_from_scratch.models.dictionary.matching import (
    linear_assignment,
    match_atoms,
    mean_max_cosine,
    variance_explained,
)
from gpt_from_scratch.models.dictionary.synthetic import (
    SHAPES,
    add_noise,
    image_dictionary,
    random_dictionary,
    sparse_codes,
)


@pytest.fixture(autouse=True)
def one_thread():
    """Operations this small only wait for each other on more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=150, deadline=None)
@given(rows=st.integers(1, 12), extra=st.integers(0, 6), seed=st.integers(0, 2**16), ties=st.booleans())
def test_assignment_is_as_cheap_as_scipys(rows, extra, seed, ties):
    rng = np.random.default_rng(seed)
    size = (rows, rows + extra)
    cost = rng.integers(-3, 4, size).astype(np.float64) if ties else rng.normal(size=size)
    columns = linear_assignment(cost)
    assert len(set(columns.tolist())) == rows
    assert cost[np.arange(rows), columns].sum() == pytest.approx(cost[linear_sum_assignment(cost)].sum())


def test_assignment_of_fifty_atoms_equals_scipys():
    cost = np.random.default_rng(0).normal(size=(50, 60))
    assert (linear_assignment(cost) == linear_sum_assignment(cost)[1]).all()


def test_assignment_refuses_bad_input():
    with pytest.raises(ValueError, match="3 rows cannot each have one of 2 columns"):
        linear_assignment(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="NaN"):
        linear_assignment(np.array([[math.nan]]))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), extra=st.integers(0, 3))
def test_match_undoes_any_order_and_sign(seed, extra):
    rng = generator(seed)
    true = random_dictionary(10, 16, rng)
    order = torch.randperm(10 + extra, generator=rng)
    signs = torch.randint(0, 2, (10 + extra, 1), generator=rng) * 2 - 1
    learned = (torch.cat([true, random_dictionary(extra, 16, rng)]) * signs)[order]
    match = match_atoms(true, learned)
    torch.testing.assert_close(match.align(learned), true)
    assert match.recovered == 10
    assert mean_max_cosine(true, learned) == pytest.approx(1, abs=1e-5)


def test_one_atom_learned_twice_counts_once():
    """MMCS lets two true atoms share a learned one; `recovered` does not."""
    true = torch.tensor([[1.0, 0.0, 0.0], [math.cos(0.1), math.sin(0.1), 0.0]])
    learned = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert mean_max_cosine(true, learned) == pytest.approx((1 + math.cos(0.1)) / 2, abs=1e-6)
    assert match_atoms(true, learned).recovered == 1


def test_variance_explained():
    signals = torch.randn(50, 4, generator=generator()) + 7
    assert variance_explained(signals, signals) == 1
    assert variance_explained(signals, signals.mean(dim=0).expand_as(signals)) == pytest.approx(0, abs=1e-6)
    assert variance_explained(signals, torch.zeros_like(signals)) < 0
    with pytest.raises(ValueError, match="do not vary"):
        variance_explained(torch.ones(3, 4), torch.zeros(3, 4))
    with pytest.raises(ValueError, match="2 learned atoms cannot match 3"):
        match_atoms(torch.eye(3), torch.eye(3)[:2])


def test_the_image_dictionary_is_what_it_says():
    atoms = image_dictionary(generator())
    assert atoms.shape == (20, 64)
    torch.testing.assert_close(atoms.norm(dim=1), torch.ones(20))
    assert [int((atom > 0).sum()) for atom in atoms[: len(SHAPES)]] == [32, 32, 8, 28, 28]
    assert (torch.triu(atoms @ atoms.T, diagonal=1).abs() < 0.9).all(), "no two true atoms are nearly the same"


def test_codes_have_the_asked_number_of_nonzeros():
    counts = (sparse_codes(400, 20, (1, 3), generator()) != 0).sum(dim=1)
    assert set(counts.tolist()) == {1, 2, 3}
    with pytest.raises(ValueError, match="1 <= least <= most <= 20"):
        sparse_codes(4, 20, (2, 21), generator())


def test_noise_has_the_asked_level():
    signals = torch.randn(400, 20, generator=generator())
    noise = add_noise(signals, generator(1), snr_db=20) - signals
    assert 20 * math.log10(float(signals.norm() / noise.norm())) == pytest.approx(20, abs=1e-3)
    assert torch.equal(add_noise(signals, generator(1)), signals)
    assert float((add_noise(signals, generator(1), std=0.5) - signals).std()) == pytest.approx(0.5, rel=0.05)
