"""The n-gram models of the benchmark are probability distributions, and what they say of the stories is believable."""

import numpy as np
import pytest

from gpt_from_scratch.benchmarks.learning.stories_ngram import (
    END,
    ORDERS,
    PAD,
    SMOOTHINGS,
    UNITS,
    NGramModel,
    count,
    encode,
)
from gpt_from_scratch.training.data.stories import TRAIN_SEED, VALIDATION_SEED, floor_nats, stories

TEXTS = ["a b a c a b", "b a b", "c c a", "a b a b", "d"]


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("order", ORDERS)
def test_probabilities_over_the_vocabulary_sum_to_one(smoothing: str, order: int) -> None:
    vocabulary: dict[str, int] = {}
    train = encode(map(str.split, TEXTS), vocabulary)
    size = len(vocabulary) + 2
    model = NGramModel(count(train, size), order, size, smoothing)
    padding = [PAD] * (max(ORDERS) - 1)
    for context in ([], ["a"], ["a", "b"], ["b", "a"], ["d", "d", "d", "d"], ["a", "b", "a", "c"]):
        ids = [vocabulary[token] for token in context]
        total = sum(model.probabilities(np.array([*padding, *ids, token]))[-1] for token in range(END, size))
        assert total == pytest.approx(1, rel=1e-12)


def test_bigram_by_hand() -> None:
    """Witten-Bell on "a a b": after "a" come a, b; p(b | a) = (1 + 2 p(b)) / (2 + 2), p(b) = (1 + 3 / 3) / (4 + 3)."""
    vocabulary: dict[str, int] = {}
    train = encode([["a", "a", "b"]], vocabulary)
    size = len(vocabulary) + 2
    model = NGramModel(count(train, size), 2, size, "Witten-Bell")
    assert model.probabilities(train)[2] == pytest.approx((1 + 2 * (1 + 3 / 3) / 7) / 4)


def test_a_longer_context_helps_but_not_enough() -> None:
    texts = [made.text for made in stories(TRAIN_SEED, range(1000))]
    held_out = [made.text for made in stories(VALIDATION_SEED, range(50))]
    vocabulary: dict[str, int] = {}
    split = UNITS["words and marks"]
    train, validation = encode(map(split, texts), vocabulary), encode(map(split, held_out), vocabulary)
    size = len(vocabulary) + 2
    floor = floor_nats(VALIDATION_SEED, range(50))
    counts = count(train, size)
    models = [NGramModel(counts, order, size, "Kneser-Ney") for order in ORDERS]
    ratios = [-np.log(model.probabilities(validation)).sum() / floor for model in models]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] > 1.4
