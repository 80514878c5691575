"""The tokenizer that a run learns from a text is the one that `gpt prepare` learns from it."""

from pathlib import Path

import pytest

from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.training.data import tokenizers
from gpt_from_scratch.training.data.building import build_corpus
from gpt_from_scratch.training.data.config import DataConfig
from gpt_from_scratch.training.data.tokenizers import first_characters, make_tokenizer
from gpt_from_scratch.training.prepare import main


@pytest.mark.parametrize("name", ["bpe", "character"])
def test_a_run_and_prepare_learn_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a text that is longer than what is learned from: both take its beginning, and as much of it."""
    monkeypatch.setattr(tokenizers, "characters_to_learn_from", lambda vocab_size: 700)
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat, the rat sat on the cat. " * 20 + "a dog and a frog log on. " * 40, "utf-8")
    of_run = build_corpus(DataConfig(source="text", path=text, tokenizer=name, vocab_size=280), 8).tokenizer
    options = ["--tokenizer", name, "--vocab-size", "280", "--validation-fraction", "0.1", "--workers", "1"]
    assert main([str(text), *options, "--out", str(tmp_path / "shards")]) == 0
    assert load_tokenizer(tmp_path / "shards").fingerprint == of_run.fingerprint


def test_the_beginning_of_several_texts_has_their_ends_in_it() -> None:
    assert first_characters(["abc", "de"], 100) == "abc<|endoftext|>de"
    assert first_characters(["abc", "de"], 5) == "abc<|"
    assert first_characters(["abc", "de"], 3) == "abc"
    assert first_characters([], 3) == ""


def test_no_more_texts_are_read_than_needed() -> None:
    texts = iter(["a" * 10, "b" * 10, "c" * 10])
    first_characters(texts, 12)
    assert next(texts) == "c" * 10


def test_an_unknown_tokenizer_is_named() -> None:
    with pytest.raises(ValueError, match="'bpf': expected bpe, character, gpt2, or the path"):
        make_tokenizer("bpf", 300, "gpt2")
