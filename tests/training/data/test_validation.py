"""The validation loss: every target once, the same for any batch and any number of ranks."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.training.data.validation_set import ValidationScore, ValidationSet, evaluate
from gpt_from_scratch.training.ranks.process_group import Ranks

CONFIG = GPTConfig(block_size=12, vocab_size=20, n_layer=1, n_head=2, n_embd=16)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=4), st.integers(1, 12), st.booleans())
def test_windows_predict_every_token_of_text_once(lengths: list[int], block_size: int, begins: bool) -> None:
    bounds = np.cumsum([0, *lengths])
    documents = [np.arange(a, b) for a, b in itertools.pairwise(bounds)]
    wanted = [token for document in documents for token in document[0 if begins else 1 :].tolist()]
    if not wanted:
        with pytest.raises(ValueError, match="too short"):
            ValidationSet.of_texts(documents, [99], block_size, n_bytes=0)
        return
    validation = ValidationSet.of_texts(documents, [99] if begins else [], block_size, n_bytes=1)
    targets = [row[len(row) - n :].tolist() for row, n in zip(validation.rows, validation.scored, strict=True)]
    assert sorted(itertools.chain(*targets)) == wanted and validation.n_targets == len(wanted)
    assert max(map(len, validation.rows)) <= block_size + 1


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 64))
def test_any_batch_gives_the_sum_over_single_rows(tokens_a_batch: int) -> None:
    torch.manual_seed(0)
    model = GPT(CONFIG)
    documents = [np.arange(n) % 19 for n in (3, 11, 5, 5, 1, 7)]
    validation = ValidationSet.of_documents(documents, 19, n_bytes=32, floor_nats=10.0)
    score = evaluate(model, validation, Ranks(), tokens_a_batch=tokens_a_batch)
    assert score is not None
    alone = ends = 0.0
    for document in documents:
        row = torch.tensor([19, *document, 19])
        with torch.inference_mode():
            logprobs = torch.log_softmax(model(row[None, :-1])[0].double(), dim=-1)
        alone -= float(logprobs[torch.arange(len(row) - 1), row[1:]].sum())
        ends -= float(logprobs[-1, 19])
    assert score.nats == pytest.approx(alone, rel=1e-6)
    assert score.ratio == pytest.approx(alone / 10)
    assert score.bits_per_byte == pytest.approx((alone - ends) / math.log(2) / 32)
    assert score.n_targets == sum(map(len, documents)) + len(documents)


def test_a_stop_request_leaves_no_score() -> None:
    validation = ValidationSet.of_texts([np.arange(30) % 20], [19], 12, n_bytes=30)
    assert evaluate(GPT(CONFIG), validation, Ranks(), should_stop=lambda: True) is None


def test_a_text_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        ValidationSet.of_texts([np.arange(1)], [], 4, n_bytes=1)


def test_a_score_without_a_floor_has_no_ratio() -> None:
    assert ValidationScore(nats=2.0, n_targets=4, n_bytes=1, floor_nats=None).ratio is None
