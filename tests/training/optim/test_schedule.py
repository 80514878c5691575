"""The rate's course against the formulas of its sources."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.support.registry_folder import names_in
from gpt_from_scratch.training.optim import decays
from gpt_from_scratch.training.optim.schedule import ScheduleConfig, rate

FORMULAS = {
    "linear": lambda over: 1 - over,
    "cosine": lambda over: (1 + math.cos(math.pi * over)) / 2,
    "one_minus_sqrt": lambda over: 1 - math.sqrt(over),
}


@pytest.mark.parametrize("name", names_in(decays))
@given(steps=st.integers(1, 1000), fraction=st.floats(0, 1), final=st.floats(0, 1), warmup=st.integers(0, 50))
def test_a_decay_is_its_formula_after_the_plateau(
    name: str, steps: int, fraction: float, final: float, warmup: int
) -> None:
    config = ScheduleConfig(warmup, fraction, final, name)
    begin = steps - fraction * steps
    for step in {0, steps // 2, steps - 1}:
        over = 0.0 if step <= begin else (step - begin) / (steps - begin)
        expected = min(1, (step + 1) / (warmup + 1)) * (final + (1 - final) * FORMULAS[name](over))
        assert rate(config, step, steps) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", names_in(decays))
def test_a_decay_begins_at_the_peak_only_falls_and_ends_at_zero(name: str) -> None:
    config = ScheduleConfig(0, decay=name, decay_fraction=1.0)
    rates = [rate(config, step, 100) for step in range(101)]
    assert rates[0] == 1 and rates[-1] == 0
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))
