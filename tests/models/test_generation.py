"""Generation: cached equals uncached on every backend, and each row is its own."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_from_scratch.kernels.registry import use_backend
from gpt_from_scratch.models.cache import KVCache
from gpt_from_scratch.models.generation import Sampling, filtered, generate, stream
from gpt_from_scratch.models.gpt import GPT, GPTConfig

GPT2 = GPTConfig(block_size=24, vocab_size=40, n_layer=2, n_head=4, n_embd=32)
MODERN = GPTConfig(**{**vars(GPT2), "position": "rotary", "qk_norm": True, "n_kv_head": 2, "tie_head": False})
PROMPTS = [[1, 2, 3, 4, 5], [7], [9, 8, 7]]


def make(config: GPTConfig) -> GPT:
    torch.manual_seed(0)
    model = GPT(config)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("config", [GPT2, MODERN], ids=["gpt2", "modern"])
def test_cached_logits_equal_uncached_ones(config: GPTConfig, backend: str) -> None:
    model = make(config)
    tokens = torch.randint(40, (3, 20), generator=torch.Generator().manual_seed(1))
    with use_backend(backend), torch.no_grad():
        whole = model(tokens)
        cache = KVCache(config, 3, 24, device=tokens.device, dtype=torch.float32)
        parts = [model(part, cache=cache) for part in tokens.split([7, 1, 1, 5, 6], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("config", [GPT2, MODERN], ids=["gpt2", "modern"])
def test_a_ragged_batch_equals_its_rows_alone_and_no_cache(config: GPTConfig, backend: str) -> None:
    model = make(config)
    sampling = [Sampling(seed=i, temperature=0.8) for i in range(3)]
    with use_backend(backend):
        together = generate(model, PROMPTS, 12, sampling)
        alone = [generate(model, [p], 12, s)[0] for p, s in zip(PROMPTS, sampling, strict=True)]
        uncached = generate(model, PROMPTS, 12, sampling, use_cache=False)
    assert together == alone == uncached
    assert all(len(row) == 12 for row in together)


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 3e38])
@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_what_memory_held_before_does_not_matter(backend: str, garbage: float, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make(MODERN)
    with use_backend(backend):
        expected = generate(model, PROMPTS, 12)
        monkeypatch.setattr(torch, "empty", lambda shape, **options: torch.full(shape, garbage, **options))
        assert generate(model, PROMPTS, 12) == expected


def test_greedy_takes_the_most_likely_token() -> None:
    model = make(GPT2)
    row = [3, 1]
    expected = []
    for _ in range(8):
        with torch.no_grad():
            expected.append(int(model(torch.tensor([row + expected]))[0, -1].argmax()))
    assert generate(model, [row], 8, Sampling(temperature=0)) == [expected]


def test_stop_tokens_end_a_row_and_leave_the_others_unchanged() -> None:
    model = make(GPT2)
    plain = generate(model, PROMPTS, 15, Sampling(seed=3))
    stop = plain[0][4]
    stopped = generate(model, PROMPTS, 15, Sampling(seed=3, stop_tokens=(stop,)))
    for full, short in zip(plain, stopped, strict=True):
        cut = full.index(stop) + 1 if stop in full else len(full)
        assert short == full[:cut]


def test_a_full_context_goes_on_with_its_last_half() -> None:
    model = make(GPT2)
    cached = generate(model, PROMPTS, 60, Sampling(temperature=0))
    assert all(len(row) == 60 for row in cached)
    assert cached == generate(model, PROMPTS, 60, Sampling(temperature=0), use_cache=False)


def test_log_probabilities_are_the_models() -> None:
    model = make(GPT2)
    new = list(stream(model, [[5, 6]], 3, Sampling(temperature=0.5, top_k=3)))
    sequence = [5, 6, *(n.token for n in new)]
    with torch.no_grad():
        logprobs = torch.log_softmax(model(torch.tensor([sequence]))[0], dim=-1)
    for position, n in enumerate(new, start=1):
        assert n.logprob == pytest.approx(float(logprobs[position, n.token]), abs=1e-4)


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


@pytest.mark.parametrize(
    ("prompts", "message"),
    [([[]], "prompt 0 is empty"), ([[1], [40]], "prompt 1 has token 40, the model has tokens 0 to 39")],
)
def test_bad_prompts_are_refused(prompts: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate(make(GPT2), prompts, 1)


@pytest.mark.parametrize("setting", [{"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}])
def test_bad_settings_are_refused(setting: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        Sampling(**setting)
