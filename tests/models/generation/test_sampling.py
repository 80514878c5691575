"""Sampling: each token as often as its probability says, and none that a filter took out."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_from_scratch.models.generation.sampling import RequestSeeds, Sampling, filtered, sample, sample_rows


def test_an_evals_seeds_are_of_the_request_and_how_often_it_came() -> None:
    one, other = RequestSeeds(5), RequestSeeds(5)
    seeds = [one.next(text) for text in ("a", "b", "a", "a")]
    assert len(set(seeds)) == 4
    assert [other.next(text) for text in ("a", "a", "a", "b")] == [seeds[0], seeds[2], seeds[3], seeds[1]]
    assert RequestSeeds(6).next("a") not in seeds


def test_sampling_draws_each_token_as_often_as_its_probability_says() -> None:
    logits = torch.tensor([2.0, 0.0, 1.0, -30.0, 1.5])
    generator = torch.Generator().manual_seed(0)
    sampling = Sampling(temperature=0.7)
    drawn = torch.tensor([sample(logits, sampling, generator)[0] for _ in range(2500)])
    share = torch.bincount(drawn, minlength=5) / 2500
    torch.testing.assert_close(share, torch.softmax(logits / 0.7, dim=0), rtol=0, atol=0.04)  # 4 standard deviations


@given(numbers=st.lists(st.floats(0, 1, exclude_max=True, width=32), min_size=3, max_size=3), data=st.data())
@settings(max_examples=50, deadline=None)
def test_no_draw_takes_a_token_that_was_filtered_out(numbers: list[float], data: st.DataObject) -> None:
    """The ends of the interval included: 0, and the largest number below 1."""
    top_k = data.draw(st.lists(st.none() | st.integers(1, 12), min_size=3, max_size=3))
    top_p = data.draw(st.lists(st.none() | st.floats(0.01, 1), min_size=3, max_size=3))
    logits = torch.randn(3, 10, generator=torch.Generator().manual_seed(data.draw(st.integers(0, 9)))) * 20
    rules = [Sampling(temperature=0.5, top_k=k, top_p=p) for k, p in zip(top_k, top_p, strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        given_numbers = iter(numbers)
        patch.setattr(torch, "rand", lambda *shape, generator: torch.tensor(next(given_numbers)))
        tokens, _ = sample_rows(logits, rules, [torch.Generator()] * 3)
    for row, token in enumerate(tokens):
        assert torch.isfinite(filtered(logits[row] / 0.5, top_k[row], top_p[row]))[token]


def test_logits_that_are_no_numbers_are_an_error() -> None:
    with pytest.raises(RuntimeError, match="not finite"):
        sample(torch.tensor([0.0, float("nan")]), Sampling(temperature=0), torch.Generator())


@given(
    logits=st.lists(st.floats(-20, 20), min_size=2, max_size=30),
    top_k=st.none() | st.integers(1, 40),
    top_p=st.none() | st.floats(0.01, 1.0),
)
@settings(max_examples=100, deadline=None)
def test_filters_keep_the_best_and_what_they_promise(
    logits: list[float], top_k: int | None, top_p: float | None
) -> None:
    x = torch.tensor(logits, dtype=torch.float64).float()
    kept = torch.isfinite(filtered(x, top_k, top_p))
    assert kept[x.argmax()] or (x == x.max()).sum() > 1
    if top_p is None and top_k is not None and len(set(x.tolist())) == len(logits):
        assert int(kept.sum()) == min(top_k, len(logits))
    if top_k is None and top_p is not None:
        probabilities = torch.softmax(x, dim=-1)
        assert float(probabilities[kept].sum()) >= top_p - 1e-4
        assert float(probabilities[kept].sum() - probabilities[kept].min()) <= top_p + 1e-4  # no smaller set reaches p


@pytest.mark.parametrize("setting", [{"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}])
def test_bad_settings_are_refused(setting: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        Sampling(**setting)
