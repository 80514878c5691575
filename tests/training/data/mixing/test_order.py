"""A mixture's order: the tokens keep to the weights at every place, every sample comes once an epoch, nothing is remembered."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_from_scratch.training.data.loader import TokenData
from gpt_from_scratch.training.data.mixing.data import MixedData
from gpt_from_scratch.training.data.mixing.order import Order, Stream
from gpt_from_scratch.training.data.mixing.weights import Mixture, Phase, from_file, is_mixture
from gpt_from_scratch.training.data.sampler import rank_part, sample_ids

sources = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 9), st.integers(1, 30)),  # equal samples
        st.lists(st.integers(1, 12), min_size=1, max_size=30).map(np.array),  # packed documents
    ),
    min_size=1,
    max_size=4,
)


def streams(kinds: list[object], seed: int = 3) -> list[Stream]:
    return [
        Stream(seed, kind[0], kind[1])
        if isinstance(kind, tuple)
        else Stream(seed, np.asarray(kind), len(np.asarray(kind)))
        for kind in kinds
    ]


def tokens_of(stream: Stream, sample: int) -> int:
    return stream.targets if isinstance(stream.targets, int) else int(stream.targets[sample])


def plain_order(mixture: Mixture, parts: list[Stream], batch_size: int, n_steps: int) -> list[list[tuple[int, int]]]:
    """The definition, sample by sample: the one that is due first, by exact fractions."""
    taken = [0] * len(parts)
    steps = []
    since: list[Fraction] = []
    for step in range(n_steps):
        if (phase := next((p for p in mixture.phases if p.step == step), None)) is not None:
            weights, since = phase.weights, [Fraction(0)] * len(parts)
        batch = []
        for _ in range(batch_size):
            source = min((s for s in range(len(parts)) if weights[s]), key=lambda s: (since[s] / weights[s], s))
            sample = int(sample_ids(parts[source].seed, taken[source], 1, parts[source].n_samples)[0])
            batch.append((source, sample))
            taken[source] += 1
            since[source] += tokens_of(parts[source], sample)
        steps.append(batch)
    return steps


@settings(max_examples=25, deadline=None)
@given(kinds=sources, batch_size=st.integers(1, 7), data=st.data())
def test_any_step_is_found_at_once_as_the_definition_has_it(
    kinds: list[object], batch_size: int, data: st.DataObject
) -> None:
    parts = streams(kinds)
    weights = st.lists(st.integers(0, 5), min_size=len(parts), max_size=len(parts)).filter(any).map(tuple)
    changes = sorted(data.draw(st.sets(st.integers(1, 25), max_size=3)))
    mixture = Mixture(
        tuple(str(n) for n in range(len(parts))), tuple(Phase(step, data.draw(weights)) for step in (0, *changes))
    )
    expected = plain_order(mixture, parts, batch_size, 30)
    for step in (*range(0, 26, 2), 29):  # in no order, each from a new object: as a resumed run asks
        assert Order(mixture, streams(kinds), batch_size).batch(step) == expected[step]


def test_every_sample_comes_once_an_epoch_of_its_source() -> None:
    parts = [Stream(1, np.array([3, 9, 4, 7, 2]), 5), Stream(1, 6, 8)]
    order = Order(Mixture.of(["a=0.3", "b=0.7"]), parts, 4)
    seen = [pair for step in range(100) for pair in order.batch(step)]
    for source, stream in enumerate(parts):
        samples = [sample for taken, sample in seen if taken == source]
        for start in range(0, len(samples) - stream.n_samples, stream.n_samples):
            assert Counter(samples[start : start + stream.n_samples]) == Counter(range(stream.n_samples))


@pytest.mark.parametrize("weights", [(0.7, 0.2, 0.1), (0.01, 0.98, 0.01)])
def test_the_shares_are_met_over_any_thousand_steps(weights: tuple[float, ...]) -> None:
    """0.1 %, for rows of documents that are full or nearly empty, beside windows."""
    rng = np.random.default_rng(5)
    targets = [rng.integers(1, 65, 500), rng.integers(50, 65, 900), 64]
    parts = [Stream(9, t, 700 if isinstance(t, int) else len(t)) for t in targets]
    mixture = Mixture.of([f"{name}={weight}" for name, weight in zip("abc", weights, strict=True)])
    order, n_steps = Order(mixture, parts, 4), 1400
    counts = np.zeros((n_steps, 3))
    for step in range(n_steps):
        for source, sample in order.batch(step):
            counts[step, source] += tokens_of(parts[source], sample)
    sums = np.concatenate([np.zeros((1, 3)), counts.cumsum(axis=0)])
    windows = sums[1000:] - sums[:-1000]
    realised = windows / windows.sum(axis=1, keepdims=True)
    assert np.abs(realised - mixture.shares(0)).max() < 0.001


def test_one_source_alone_has_the_order_that_it_has_without_a_mixture() -> None:
    data = TokenData.from_tokens(np.arange(1000, dtype=np.uint16), 8)
    mixed = MixedData(Mixture.of(["a=1"]), {"a": data})
    for step in range(40):
        assert np.array_equal(mixed.batch_ids(3, step, 7), data.batch_ids(3, step, 7))


def test_ranks_share_a_batch_and_a_place_is_named() -> None:
    a = TokenData.from_tokens(np.arange(200, dtype=np.uint16), 8)
    b = TokenData.from_documents([np.full(length, length) for length in range(1, 8)], 8, eot_token=0)
    mixed = MixedData(Mixture.of(["a=1", "b=2"], ["5:b=1"]), {"b": b, "a": a})
    for step in range(9):
        ids = mixed.batch_ids(1, step, 8)
        parts = [np.concatenate([rank_part(ids, rank, n) for rank in range(n)]) for n in (1, 2, 4)]
        assert all(np.array_equal(part, ids) for part in parts)
        if step >= 5:
            assert all(mixed.where(sample).startswith("b, sample") for sample in ids.tolist())
    for sample in range(mixed.n_samples):
        part, inside = mixed.place(sample)
        assert np.array_equal(mixed.row(sample), [a, b][part].row(inside))
    assert mixed.n_targets == a.n_targets + b.n_targets


@pytest.mark.parametrize(
    "words, schedule, message",
    [
        (["a"], [], "has 'a': expected NAME=WEIGHT"),
        (["a=x"], [], "has 'a=x': expected NAME=WEIGHT"),
        (["a=-1"], [], "weights of 0 or more"),
        (["a=1", "a=2"], [], "names 'a' twice"),
        (["a=0"], [], "all weights are 0"),
        (["a=1", "b=0"], [], "'b' always has weight 0: leave it out"),
        (["a=0.00000001"], [], "at most six decimals"),
        (["a=1"], ["b=1"], "expected STEP:NAME=WEIGHT"),
        (["a=1"], ["5:b=1"], "'b', which is not in the mixture"),
        (["a=1"], ["5:a=1", "5:a=2"], "step 5 does not come after step 5"),
        (["a=1"], ["0:a=1"], "a step of at least 1"),
        ([], [], "names no source"),
    ],
)
def test_what_is_no_mixture_is_refused_in_words(words: list[str], schedule: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mixture.of(words, schedule)


def test_a_mixture_in_a_file(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "mix.toml"
    weights = '[mixture]\nstories = 0.5\n"data/code" = 0.5\n'
    path.write_text(weights + '[schedule.200]\n"data/code" = 1\n[schedule.50]\nstories = 1\n')
    mixture, schedule = from_file(path)
    assert (mixture, schedule) == (["stories=0.5", "data/code=0.5"], ["50:stories=1", "200:data/code=1"])
    assert [phase.step for phase in Mixture.of(mixture, schedule).phases] == [0, 50, 200]
    for content, message in [
        ("a = [", "is not TOML"),
        ("other = 1", "has 'other'"),
        ("[mixture]\na = true", "names and weights"),
    ]:
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            from_file(path)
    assert is_mixture(["a=0.5"]) and is_mixture(["a", "b=1"]) and not is_mixture(["a"]) and not is_mixture(["a=b"])
    assert not is_mixture([str(path)])
