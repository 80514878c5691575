"""Matching pursuit against a plain loop over signals, the assignment against scipy's, and K-SVD against a known truth."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_from_scratch.models.dictionary import ksvd as dictionary_learning
from gpt_from_scratch.models.dictionary.ksvd import KSVDConfig, learn_dictionary, sparse_encode
from gpt_from_scratch.models.dictionary.matching import (
    match_atoms,
)
from gpt_from_scratch.models.dictionary.synthetic import (
    add_noise,
    image_dictionary,
    random_dictionary,
    sparse_codes,
)

SMALL = KSVDConfig(n_atoms=6, n_nonzero=2, iterations=4, restarts=1)


@pytest.fixture(autouse=True)
def one_thread():
    """Operations this small only wait for each other on more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain_omp(signal, atoms, n_nonzero, tolerance):
    """The definition, one signal at a time: pick, then fit all picked atoms by least squares."""
    support, code, residual = [], torch.zeros(len(atoms), dtype=atoms.dtype), signal
    while len(support) < n_nonzero and residual.norm() > tolerance:
        correlation = (atoms @ residual).abs()
        correlation[support] = -1
        support.append(int(correlation.argmax()))
        fit = torch.linalg.lstsq(atoms[support].T, signal[:, None]).solution[:, 0]
        residual = signal - fit @ atoms[support]
        code = torch.zeros_like(code).scatter(0, torch.tensor(support), fit)
    return code


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 12),
    dim=st.integers(3, 16),
    n_atoms=st.integers(1, 24),
    n_nonzero=st.integers(1, 6),
    tolerance=st.sampled_from([0.0, 0.5, 2.0]),
    seed=st.integers(0, 2**16),
)
def test_pursuit_equals_the_plain_loop(n, dim, n_atoms, n_nonzero, tolerance, seed):
    n_nonzero = min(n_nonzero, n_atoms, dim - 1)
    atoms = random_dictionary(n_atoms, dim, generator(seed)).double()
    signals = torch.randn(n, dim, generator=generator(seed + 1)).double()
    expected = torch.stack([plain_omp(signal, F.normalize(atoms, dim=1), n_nonzero, tolerance) for signal in signals])
    codes = sparse_encode(signals, F.normalize(atoms, dim=1), n_nonzero, tolerance)
    torch.testing.assert_close(codes, expected, atol=1e-6, rtol=1e-6)


def test_the_residual_is_orthogonal_to_the_atoms_used():
    atoms = random_dictionary(50, 20, generator())
    signals = torch.randn(300, 20, generator=generator(1))
    codes = sparse_encode(signals, atoms, 5)
    assert ((codes != 0).sum(dim=1) == 5).all(), "five different atoms: none was taken twice"
    left = (signals - codes @ atoms) @ atoms.T
    assert left[codes != 0].abs().max() < 1e-5


def test_duplicate_atoms_and_exact_signals_give_finite_codes():
    """A second copy of an atom has distance 0 from the first, and an explained signal leaves nothing to correlate."""
    atom = F.normalize(torch.randn(1, 8, generator=generator()), dim=1)
    atoms = torch.cat([atom, atom, -atom, F.normalize(torch.ones(1, 8), dim=1)])
    signals = torch.cat([3 * atom, torch.zeros(1, 8), torch.randn(1, 8, generator=generator(1))])
    codes = sparse_encode(signals, atoms, 4)
    assert codes.isfinite().all()
    assert ((codes[:, :3].abs() > 1e-5).sum(dim=1) <= 1).all(), "one of the three copies"
    torch.testing.assert_close(codes[:2] @ atoms, signals[:2], atol=1e-5, rtol=0)


def test_pursuit_in_chunks_changes_nothing(monkeypatch):
    atoms, signals = random_dictionary(12, 6, generator()), torch.randn(31, 6, generator=generator(1))
    whole = sparse_encode(signals, atoms, 3)
    monkeypatch.setattr(dictionary_learning, "CHUNK_FLOATS", 12 * 6 * 4)  # four signals at a time
    torch.testing.assert_close(sparse_encode(signals, atoms, 3), whole)


def test_true_codes_are_found_again():
    true = random_dictionary(40, 200, generator())
    codes = sparse_codes(200, 40, (1, 3), generator(1))
    found = sparse_encode(codes @ true, true, 3, tolerance=1e-3)
    torch.testing.assert_close(found, codes, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("signals", "atoms", "n_nonzero", "tolerance", "message"),
    [
        (torch.ones(2, 3), torch.eye(3), 4, 0.0, "with 3 atoms it is from 1 to 3"),
        (torch.ones(2, 3), torch.eye(3), 0, 0.0, "n_nonzero is 0"),
        (torch.ones(2, 3), 2 * torch.eye(3), 1, 0.0, "unit norm"),
        (torch.ones(2, 3), torch.eye(3), 1, -1.0, "tolerance is -1.0"),
        (torch.tensor([[1.0, math.nan, 0.0]]), torch.eye(3), 1, 0.0, "signals hold NaN or infinity in 1 of 1 rows"),
        (torch.ones(2, 3), torch.full((1, 3), math.inf), 1, 0.0, "atoms hold NaN or infinity"),
        (torch.ones(0, 3), torch.eye(3), 1, 0.0, "signals are empty"),
    ],
)
def test_pursuit_refuses_bad_input(signals, atoms, n_nonzero, tolerance, message):
    with pytest.raises(ValueError, match=message):
        sparse_encode(signals, atoms, n_nonzero, tolerance)


@pytest.mark.parametrize("seed", [0, 1])
def test_every_atom_is_recovered(seed):
    rng = generator(seed)
    true = image_dictionary(rng)
    signals = add_noise(sparse_codes(1500, 20, (1, 3), rng) @ true, rng, std=1e-4)
    learned = learn_dictionary(signals, KSVDConfig(), rng)
    assert match_atoms(true, learned.atoms).recovered == 20
    assert learned.error < 1e-5


def test_the_error_reported_is_that_of_the_atoms_returned():
    signals = torch.randn(80, 10, generator=generator())
    learned = learn_dictionary(signals, replace(SMALL, restarts=3), generator())
    torch.testing.assert_close(learned.atoms.norm(dim=1), torch.ones(6))
    left = signals - sparse_encode(signals, learned.atoms, 2) @ learned.atoms
    assert learned.error == pytest.approx(float(left.square().sum() / signals.square().sum()), rel=1e-4)
    assert learned.error == min(learned.history) == min(learned.restart_errors)
    assert len(learned.history) == 5 and len(learned.restart_errors) == 3


def test_the_same_generator_gives_the_same_atoms():
    signals = torch.randn(80, 10, generator=generator())
    first, second = (learn_dictionary(signals, SMALL, generator(3)).atoms for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, learn_dictionary(signals, SMALL, generator(4)).atoms)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_the_scale_of_the_signals_does_not_matter(scale):
    signals = torch.randn(80, 10, generator=generator(), dtype=torch.float64)
    usual = learn_dictionary(signals, SMALL, generator())
    scaled = learn_dictionary((signals * scale).float(), SMALL, generator())
    torch.testing.assert_close(scaled.atoms.double(), usual.atoms, atol=1e-3, rtol=0)


def test_an_atom_update_never_raises_the_error():
    atoms = random_dictionary(6, 10, generator())
    signals = torch.randn(80, 10, generator=generator(1))
    codes = sparse_encode(signals, atoms, 2)
    residual = signals - codes @ atoms
    for atom in range(6):
        before = residual.square().sum()
        dictionary_learning._update_atoms(atoms, codes, residual, [atom])
        assert residual.square().sum() <= before
        torch.testing.assert_close(residual, signals - codes @ atoms, atol=1e-5, rtol=0)


def test_repeated_atom_updates_reach_the_singular_vector():
    """With one atom and one non-zero, K-SVD is the power method on the signals."""
    signals = torch.randn(50, 8, generator=generator()) * torch.arange(1, 9)
    config = KSVDConfig(n_atoms=1, n_nonzero=1, iterations=100, restarts=1, split_every=0)
    atom = learn_dictionary(signals, config).atoms[0]
    leading = torch.linalg.svd(signals).Vh[0]
    assert abs(float(atom @ leading)) > 1 - 1e-5


def test_dead_and_duplicate_atoms_are_found():
    config = KSVDConfig(n_atoms=4, n_nonzero=1)
    atoms = torch.eye(5)[:4]
    atoms[2] = -atoms[0]
    codes = torch.zeros(100, 4)
    codes[:50, 0], codes[50:, 1], codes[0, 2] = 1, 1, 1
    # 0 and 1 are used, 2 mirrors 0, 3 is used by nobody.
    assert dictionary_learning._dead_or_duplicate(atoms, codes, config).tolist() == [False, False, True, True]
    assert dictionary_learning._dead_or_duplicate(
        atoms, codes, replace(config, dead_below=0, duplicate_above=1)
    ).tolist() == [False, False, False, True]


def test_replacement_finds_a_rare_direction(monkeypatch):
    """Four directions exist and one is rare: a start from samples repeats the others, replacement finds it."""
    directions = torch.eye(6)[:4]
    counts = torch.tensor([100, 100, 100, 4])
    signals = directions.repeat_interleave(counts, dim=0) * torch.linspace(1, 2, 304)[:, None]
    config = KSVDConfig(n_atoms=4, n_nonzero=1, iterations=5, restarts=1, dead_below=0)
    for seed in range(5):
        assert match_atoms(directions, learn_dictionary(signals, config, generator(seed)).atoms).recovered == 4
    monkeypatch.setattr(dictionary_learning, "_dead_or_duplicate", lambda atoms, *_: torch.zeros(len(atoms)).bool())
    assert match_atoms(directions, learn_dictionary(signals, config, generator(0)).atoms).recovered < 4


def test_an_atom_that_stands_for_two_is_split(theta=0.3):
    """One atom lies between two true ones and another is hardly used: both true ones come back, exactly in the middle case."""
    first, second, between, idle = torch.eye(6)[:4]
    true = torch.stack([math.cos(theta) * between + sign * math.sin(theta) * first for sign in (1, -1)] + [second])
    signals = true.repeat_interleave(torch.tensor([50, 50, 100]), dim=0) * torch.linspace(1, 2, 50).repeat(4)[:, None]
    atoms = torch.stack([between, second, idle])
    codes = sparse_encode(signals, atoms, 1)
    codes[0, 2] = 1e-3
    dictionary_learning._split_overloaded(atoms, codes, signals - codes @ atoms, 1)
    assert match_atoms(true, atoms).cosine.min() > 0.9999


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_any_split_of_any_dictionary_is_possible(fraction):
    """The residual may be almost 0, the atoms may be one, and all of them may be asked to split."""
    signals = torch.randn(30, 1, generator=generator()) @ torch.randn(1, 5, generator=generator(1))
    for n_atoms in (1, 2, 3):
        config = KSVDConfig(n_atoms, 1, 6, restarts=1, split_every=1, split_fraction=fraction)
        learned = learn_dictionary(signals, config, generator())
        assert learned.atoms.isfinite().all() and learned.error < 1e-9


def test_zero_signals_are_left_out():
    signals = torch.cat([torch.zeros(20, 10), torch.randn(7, 10, generator=generator())])
    assert learn_dictionary(signals, SMALL, generator()).atoms.norm(dim=1).min() > 0.99
    with pytest.raises(ValueError, match="6 atoms cannot be learned from 5 signals that are not zero"):
        learn_dictionary(signals[:25], SMALL, generator())


def test_learning_refuses_bad_input():
    signals = torch.randn(4, 10, generator=generator())
    with pytest.raises(ValueError, match="6 atoms cannot be learned from 4 signals"):
        learn_dictionary(signals, SMALL)
    signals = torch.randn(40, 10, generator=generator())
    signals[[3, 5], 2] = math.nan
    with pytest.raises(ValueError, match="NaN or infinity in 2 of 40 rows"):
        learn_dictionary(signals, SMALL)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_atoms": 2, "n_nonzero": 3}, "only 2 atoms to choose from"),
        ({"n_nonzero": 0}, "n_nonzero is 0"),
        ({"restarts": 0}, "restarts is 0"),
        ({"iterations": -1}, "iterations is -1"),
        ({"split_every": -1}, "split_every is -1"),
        ({"duplicate_above": 1.5}, "from 0 to 1"),
        ({"dead_below": math.nan}, "dead_below is nan: it must be a finite number"),
    ],
)
def test_config_refuses_bad_values(values, message):
    with pytest.raises(ValueError, match=message):
        KSVDConfig(**values)


@pytest.mark.parametrize("angle", [0.02, 0.01, 1e-3])
def test_atoms_that_lie_close_together_are_two_atoms_in_float32(angle):
    atoms = torch.tensor([[1.0, 0, 0], [math.cos(angle), math.sin(angle), 0], [0, 0, 1.0]])
    signals = torch.tensor([[1.0, 2.0, 0.5], [-1.0, 0.3, 0.0], [0.0, 0.0, 2.0]]) @ atoms
    codes = sparse_encode(signals, atoms, 3)
    torch.testing.assert_close(codes @ atoms, signals, atol=1e-6, rtol=0)
    assert (codes[0] != 0).all() and (codes[2] != 0).sum() == 1


@given(tolerance=st.floats(1e-5, 0.5), size=st.floats(-30, 30), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_a_tolerance_is_kept_at_any_size_of_the_signals(tolerance, size, seed):
    """Fewest atoms that reach it: one less would not do."""
    atoms = torch.nn.functional.normalize(torch.randn(40, 12, generator=generator()), dim=1)
    signals = torch.randn(5, 12, generator=generator(seed)) * 10**size
    sizes = signals.double().norm(dim=1)  # the squares of the smallest are 0 in single precision
    limits = tolerance * float(sizes.min())
    codes = sparse_encode(signals, atoms, 12, limits)
    left = (signals.double() - codes.double() @ atoms.double()).norm(dim=1)
    assert (left <= limits * (1 + 1e-3) + 1e-6 * sizes).all()
    for signal, used in zip(signals, (codes != 0).sum(dim=1).tolist(), strict=True):
        if used > 1:
            fewer = sparse_encode(signal[None], atoms, used - 1)
            assert (signal.double() - fewer.double() @ atoms.double()).norm() > limits * (1 - 1e-3)


ROWS = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
UNIT = torch.nn.functional.normalize(ROWS, dim=1)


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        (ROWS[0], r"signals must be a matrix .* shape \(4,\): a single one is x\[None\]"),
        (ROWS[None], r"signals must be a matrix"),
        (ROWS.long(), "signals are torch.int64: give float32 or float64"),
        (ROWS.half(), "signals are torch.float16: give float32 or float64"),
        (ROWS.bfloat16(), "signals are torch.bfloat16"),
        (ROWS.bool(), "signals are torch.bool"),
        (ROWS.to(torch.complex64), "signals are torch.complex64"),
    ],
)
def test_input_of_another_form_gets_words(signals, message):
    with pytest.raises(ValueError, match=message):
        sparse_encode(signals, UNIT, 2)
    with pytest.raises(ValueError, match=message.replace("signals", "atoms", 1)):
        sparse_encode(ROWS, signals, 2)
    with pytest.raises(ValueError, match=message):
        learn_dictionary(signals, SMALL)


def test_what_does_not_go_together_gets_words():
    with pytest.raises(ValueError, match="one width, dtype and device"):
        sparse_encode(ROWS[:, :3], UNIT, 2)
    with pytest.raises(ValueError, match="one width, dtype and device"):
        sparse_encode(ROWS.double(), UNIT, 2)
    for tolerance in (math.nan, -1.0):
        with pytest.raises(ValueError, match="tolerance is"):
            sparse_encode(ROWS, UNIT, 2, tolerance)
