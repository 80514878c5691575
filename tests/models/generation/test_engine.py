"""Generation: cached equals uncached on every backend, and each row is its own."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_from_scratch.kernels.choices import use_backend
from gpt_from_scratch.models.generation import engine as generation
from gpt_from_scratch.models.generation.engine import Engine, generate, stream
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.models.generation.turns import Owner
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.models.layers.kv_cache import KVCache
from tests.models.generation.small_models import GPT2, KINDS, MODERN, SHORT, WINDOWS, make

PROMPTS = [[1, 2, 3, 4, 5], [7], [9, 8, 7]]


@pytest.mark.parametrize("backend", ["reference", "torch"])
@KINDS
def test_cached_logits_equal_uncached_ones(config: GPTConfig, backend: str) -> None:
    model = make(config)
    tokens = torch.randint(40, (3, 20), generator=torch.Generator().manual_seed(1))
    with use_backend(backend), torch.no_grad():
        whole = model(tokens)
        cache = KVCache(config, 3, 24, device=tokens.device, dtype=torch.float32)
        parts = [model(part, cache=cache) for part in tokens.split([7, 1, 1, 5, 6], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pattern", ["S", "SL"])
def test_layers_with_a_window_keep_no_more_than_its_tokens(pattern: str) -> None:
    config = GPTConfig(**{**vars(SHORT), "block_size": 60, "window": 5, "window_pattern": pattern, "end_of_text": 8})
    model = make(config)
    engine, made = Engine(model, max_rows=3), {}
    prompts = [[place * 7 % 40 for place in range(length)] for length in (41, 3, 12, 1)]
    for prompt in prompts:
        engine.add(prompt, 15, Sampling(temperature=0))
    while engine.busy:
        for new in engine.step():
            made.setdefault(new.row, []).append(new.token)
        assert engine._cache is not None and engine._cache.short.shape[4] == 5
        assert engine._cache.whole.shape[1] == pattern.count("L")
    assert [made[row] for row in range(4)] == generate(model, prompts, 15, Sampling(temperature=0), use_cache=False)


@pytest.mark.parametrize("backend", ["reference", "torch"])
@pytest.mark.parametrize("config", [GPT2, WINDOWS], ids=["gpt2", "windows"])
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


def test_a_row_that_fills_the_context_leaves_the_others_unchanged() -> None:
    model = make(GPT2)
    prompts = [list(range(1, 23)), [7]]
    together = generate(model, prompts, 15, Sampling(temperature=0))
    assert together == [generate(model, [prompt], 15, Sampling(temperature=0))[0] for prompt in prompts]


def run(engine: Engine) -> dict[int, list[int]]:
    rows: dict[int, list[int]] = {}
    while engine.busy:
        for new in engine.step():
            rows.setdefault(new.row, []).append(new.token)
    return rows


arrivals = st.tuples(
    st.integers(0, 6),  # steps before it comes
    st.lists(st.integers(0, 39), min_size=1, max_size=24),
    st.integers(1, 12),
    st.sampled_from([0.0, 0.8]),
    st.none() | st.integers(1, 5),  # steps after which it is abandoned
    st.sampled_from([(), ("a", 1), ("a", 2), ("b", 3)]),  # whose it is
)


@given(
    rows=st.lists(arrivals, min_size=1, max_size=6), max_rows=st.integers(1, 4), budget=st.sampled_from([1, 30, 999])
)
@settings(max_examples=12, deadline=None)
def test_rows_come_and_go_and_each_is_as_if_alone(
    rows: list[tuple[int, list[int], int, float, int | None, Owner]], max_rows: int, budget: int
) -> None:
    model = make(MODERN)
    engine = Engine(model, max_rows=max_rows)
    made: dict[int, list[int]] = {}
    waiting = sorted(enumerate(rows), key=lambda item: item[1][0])
    place, removals, finished = {}, {}, set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "PREFILL_TOKENS", budget)
        patch.setattr(generation, "ROOM", 3)  # so that the cache grows under running rows
        patch.setattr(generation, "TURN", 2)  # so that they often give way
        step = 0
        while waiting or engine.busy:
            while waiting and waiting[0][1][0] <= step:
                index, (_, prompt, length, temperature, abandon, owner) = waiting.pop(0)
                number = engine.add(prompt, length, Sampling(temperature=temperature, seed=index), owner=owner)
                place[number] = index
                if abandon is not None:
                    removals.setdefault(step + abandon, []).append(number)
            for number in removals.pop(step, []):
                engine.remove(number)
                finished.add(number)
            new = engine.step()
            assert len(new) <= max_rows
            assert not finished & {n.row for n in new}
            for n in new:
                made.setdefault(n.row, []).append(n.token)
                if n.finish:
                    finished.add(n.row)
            step += 1
    for number, index in place.items():
        _, prompt, length, temperature, abandon, _ = rows[index]
        alone = generate(model, [prompt], length, Sampling(temperature=temperature, seed=index))[0]
        mine = made.get(number, [])
        assert mine == alone[: len(mine)]
        assert abandon is not None or len(mine) == length


def test_sixteen_prompts_with_one_sampling_give_sixteen_texts() -> None:
    """Each by a seed of its own, made from the one that was given: row 0 has that one, and no row depends on another."""
    model, sampling = make(GPT2), Sampling(temperature=1.0, seed=(1 << 64) - 3)  # some of their seeds have 65 bits
    texts = generate(model, [[1, 2, 3]] * 16, 12, sampling)
    assert len({tuple(text) for text in texts}) == 16
    assert texts == generate(model, [[1, 2, 3]] * 16, 12, sampling)
    assert texts == [generate(model, [[1, 2, 3]], 12, sampling.for_row(row))[0] for row in range(16)]
    assert texts[:1] == generate(model, [[1, 2, 3]], 12, sampling)
    others = [[number + 5] for number in range(15)]
    assert generate(model, [*others, [1, 2, 3]], 12, sampling)[15] == texts[15]


def test_rows_of_a_model_that_knows_nothing_differ_too() -> None:
    """All tokens are equally likely, so that texts with the same random numbers would be the same."""
    texts = generate(GPT(dataclasses.replace(GPT2, zero_init=True, tie_head=False)), [[row] for row in range(16)], 12)
    assert len({tuple(text) for text in texts}) == 16


def test_rows_give_way_and_go_on_as_if_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three owners, one place: everybody has had a turn before anybody has three, past the end of the context too."""
    model = make(MODERN)
    monkeypatch.setattr(generation, "TURN", 3)
    engine = Engine(model, max_rows=1)
    prompts = [[1, 2, 3], [4], [5, 6]]
    for number, prompt in enumerate(prompts):
        engine.add(prompt, 30, Sampling(seed=number), owner=("client", number))
    order, made = [], [[], [], []]
    while engine.busy:
        for new in engine.step():
            order.append(new.row)
            made[new.row].append(new.token)
    assert made == [generate(model, [prompt], 30, Sampling(seed=i))[0] for i, prompt in enumerate(prompts)]
    assert order[:9] == [0, 0, 0, 1, 1, 1, 2, 2, 2] and set(order[9:18]) == {0, 1, 2}


def test_no_more_is_computed_again_than_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many owners with long prompts, who would otherwise spend their turns on computing them again."""
    monkeypatch.setattr(generation, "TURN", 1)
    monkeypatch.setattr(generation, "PREFILL_TOKENS", 20)
    engine = Engine(make(dataclasses.replace(GPT2, block_size=64)), max_rows=2)
    for number in range(8):
        engine.add([1] * 20, 40, owner=("client", number))
    computed, made, prefill = 0, 0, engine._prefill

    def counted(rows: list, scores: dict) -> torch.Tensor:
        nonlocal computed
        computed += sum(len(row.tokens) for row in rows)
        return prefill(rows, scores)

    monkeypatch.setattr(engine, "_prefill", counted)
    for _ in range(150):
        made += len(engine.step())
    prompts = 8 * 20
    assert made / 2 < computed - prompts <= made + 20


def test_more_prompts_than_rows_all_come_back() -> None:
    model = make(GPT2)
    prompts = [[i % 40, (3 * i) % 40] for i in range(20)]
    engine = Engine(model, max_rows=3)
    numbers = [engine.add(prompt, 1 + i % 5, Sampling(temperature=0)) for i, prompt in enumerate(prompts)]
    rows = run(engine)
    assert numbers == list(range(20))
    assert [rows[i] for i in numbers] == [
        generate(model, [p], 1 + i % 5, Sampling(temperature=0))[0] for i, p in enumerate(prompts)
    ]


def test_a_prompt_is_scored_and_the_likeliest_are_named() -> None:
    model = make(GPT2)
    prompt = [5, 6, 7, 8]
    engine = Engine(model)
    engine.add([1], 3)
    engine.add(prompt, 2, Sampling(temperature=0), top=3, score_prompt=True)
    new = [n for _ in range(3) for n in engine.step() if n.row == 1]
    assert [n.finish for n in new] == [None, "length"]
    assert new[0].prompt is not None and new[1].prompt is None
    with torch.no_grad():
        logprobs = torch.log_softmax(model(torch.tensor([prompt + [n.token for n in new]]))[0], dim=-1)
    for position, scored in enumerate([*new[0].prompt, *new]):
        assert scored.logprob == pytest.approx(float(logprobs[position, scored.token]), abs=1e-4)
        best = logprobs[position].topk(3)
        assert [token for token, _ in scored.top] == best.indices.tolist()
        assert [value for _, value in scored.top] == pytest.approx(best.values.tolist(), abs=1e-4)
    assert [s.token for s in new[0].prompt] == prompt[1:]


@pytest.mark.parametrize(
    ("prompts", "message"),
    [([[]], "prompt 0 is empty"), ([[1], [40]], "prompt 1 has token 40, the model has tokens 0 to 39")],
)
def test_bad_prompts_are_refused(prompts: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate(make(GPT2), prompts, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1], 0), "max_new_tokens must be at least 1"),
        (([1] * 25, 1, Sampling()), "25 tokens cannot be scored in a context of 24"),
    ],
)
def test_the_engine_refuses_what_it_cannot_do(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Engine(make(GPT2)).add(*arguments, score_prompt=True)


def test_ids_that_the_tokenizer_lacks_are_never_made() -> None:
    """A vocabulary rounded up for speed had ended a run at its last samples, with an id that could not be decoded."""
    model = make(GPT2)
    with torch.no_grad():
        model.head_weight[20:] *= 50  # by far the most likely
    for sampling in (Sampling(temperature=0), Sampling(seed=1)):
        assert max(max(row) for row in generate(model, PROMPTS, 12, sampling)) >= 20
        assert max(max(row) for row in generate(model, [[1, 2], [3]], 12, sampling, n_vocab=20)) < 20
    engine = Engine(model, n_vocab=20)
    engine.add([1, 2, 3], 2, Sampling(temperature=0), top=30, score_prompt=True)
    (first,) = engine.step()
    assert first.prompt is not None
    for scored in (first, *first.prompt):
        assert sorted(token for token, _ in scored.top) == list(range(20))
        assert sum(math.exp(logprob) for _, logprob in scored.top) == pytest.approx(1, abs=1e-5)
