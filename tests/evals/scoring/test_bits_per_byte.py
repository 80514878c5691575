"""Bits per byte: exact on a model whose loss is known, and each token counted once."""

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.evals.scoring.bits_per_byte import evaluate_bits_per_byte, read_documents, rolling
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.gpt import GPT, GPTConfig

TEXT = "é好 is not ASCII, and the text is longer than what the model reads at once.\n"


def test_a_model_that_knows_nothing_needs_log2_of_the_vocabulary_a_token(checkpoint: OpenedModel) -> None:
    model = GPT(GPTConfig(block_size=16, vocab_size=checkpoint.tokenizer.n_vocab, n_layer=1, n_head=1, n_embd=8))
    torch.nn.init.zeros_(model.wte.weight)  # the head too: all logits are 0
    result = evaluate_bits_per_byte(model, checkpoint.tokenizer, [TEXT, "x"])
    assert (result.tokens, result.bytes, result.documents) == (len(TEXT) + 1, len(TEXT.encode()) + 1, 2)
    assert result.loss == pytest.approx(math.log(checkpoint.tokenizer.n_vocab))
    assert result.perplexity == pytest.approx(checkpoint.tokenizer.n_vocab)
    assert result.value == pytest.approx(math.log2(checkpoint.tokenizer.n_vocab) * result.tokens / result.bytes)


@pytest.mark.parametrize("stride", [1, 7, 48, None])
def test_equal_to_a_loop_over_tokens(checkpoint: OpenedModel, stride: int | None) -> None:
    model, tokenizer, size = checkpoint.model, checkpoint.tokenizer, checkpoint.context
    tokens = [tokenizer.eot_token, *tokenizer.encode_ordinary(TEXT)]
    nats, step = 0.0, stride or size
    for position in range(1, len(tokens)):
        end = size if position <= size else size + -(-(position - size) // step) * step  # of its window
        first = max(0, min(end, len(tokens) - 1) - size)
        with torch.no_grad():
            logits = model(torch.tensor([tokens[first:position]]))[0, -1]
        nats -= float(torch.log_softmax(logits, dim=-1)[tokens[position]])
    result = evaluate_bits_per_byte(model, tokenizer, [TEXT], stride=stride)
    assert result.nats == pytest.approx(nats, abs=1e-3)


@given(length=st.integers(0, 60), size=st.integers(1, 20), data=st.data())
def test_windows_predict_each_token_once_with_all_the_context_there_is(
    length: int, size: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(1, size))
    tokens = list(range(length + 1))
    windows = rolling(tokens, size, stride)
    assert [token for window in windows for token in window.continuation] == tokens[1:]
    for window in windows:
        assert len(window.continuation) <= stride or window is windows[0]
        first, last = window.context[0], window.continuation[-1]
        assert window.context == tuple(range(first, window.continuation[0]))
        assert first == max(0, last - size)


def test_what_may_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("first", encoding="utf-8")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.txt").write_text("second\r\n", encoding="utf-8", newline="")
    (tmp_path / "d.jsonl").write_text(json.dumps({"text": "third"}) + "\n" + json.dumps({"text": "fourth"}))
    assert read_documents(tmp_path) == ["first", "second\r\n"]
    assert read_documents(tmp_path / "a.txt") == ["first"]
    assert read_documents(tmp_path / "d.jsonl") == ["third", "fourth"]
    with pytest.raises(FileNotFoundError, match="no data at .*Name a text file"):
        read_documents(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="no .txt file"):
        (tmp_path / "empty").mkdir()
        read_documents(tmp_path / "empty")
    with pytest.raises(ValueError, match="is not UTF-8"):
        (tmp_path / "a.txt").write_bytes(b"\xff")
        read_documents(tmp_path / "a.txt")


def test_what_cannot_be_scored_is_refused(checkpoint: OpenedModel) -> None:
    with pytest.raises(ValueError, match="no text to score"):
        evaluate_bits_per_byte(checkpoint.model, checkpoint.tokenizer, ["", ""])
    with pytest.raises(ValueError, match="stride must be from 1 to the model's context of 48, it is 49"):
        evaluate_bits_per_byte(checkpoint.model, checkpoint.tokenizer, ["a"], stride=49)
