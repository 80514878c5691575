"""`gpt chat`: the conversation around the answers of a tiny model."""

import io
from pathlib import Path

import pytest
import torch

from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.models.interchange import hugging_face
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.tokenizer.chat.encoding import encode, stop_tokens
from gpt_from_scratch.tokenizer.chat.template import ROLE_TOKENS
from gpt_from_scratch.training import chat as chatting
from gpt_from_scratch.training.chat import Chat
from gpt_from_scratch.training.commands.chat import main

TOKENIZER = BytePairEncodingTokenizer.from_text("the cat sat on the mat. " * 9, 280, special_tokens=ROLE_TOKENS)
CONFIG = GPTConfig(64, TOKENIZER.n_vocab, 1, 2, 16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    GPT(CONFIG).save_pretrained(tmp_path / "model")
    hugging_face.write_beside(tmp_path / "model", CONFIG, TOKENIZER, None)
    return tmp_path / "model"


def test_lines_are_answered_and_a_bad_one_does_not_end_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("the cat\n\n/new\nthe<|end|>\nmat\n"))
    main([str(folder), "--max-tokens", "4", "--temperature", "0", "--device", "cpu"])
    said = capsys.readouterr()
    assert said.out.count("\n") == 3  # two answers, and the empty line of the refused one
    assert "chat: a message holds <|end|>" in said.err


def test_the_model_is_asked_with_all_that_was_said_until_the_context_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = OpenedModel(GPT(CONFIG).eval(), TOKENIZER, "it")
    chat = Chat(opened, Sampling(0.0, stop_tokens=stop_tokens(TOKENIZER)), 8, system="sat")
    asked: list[list[int]] = []

    def write(model, tokenizer, prompt, length, sampling):
        asked.append(prompt)
        assert len(prompt) + length <= 64
        yield from ("on ", "the mat")

    monkeypatch.setattr(chatting, "write", write)
    for question in ("the cat", "the mat", "sat on the cat. " * 3):
        assert "".join(chat.ask(question)) == "on the mat"
    first = [{"role": "system", "content": "sat"}, {"role": "user", "content": "the cat"}]
    said = [*first, {"role": "assistant", "content": "on the mat"}, {"role": "user", "content": "the mat"}]
    assert asked[0] == [TOKENIZER.eot_token, *encode(TOKENIZER, first, asks=True).tokens]
    assert asked[1] == [TOKENIZER.eot_token, *encode(TOKENIZER, said, asks=True).tokens]
    assert "the mat" not in TOKENIZER.decode(asked[2]).partition("sat on")[0]  # forgotten, but not the system's
    assert TOKENIZER.decode(asked[2]).startswith("<|endoftext|><|system|>sat<|end|>")
    with pytest.raises(ValueError, match="shorten it"):
        list(chat.ask("the dog ran. " * 30))


def test_a_model_without_a_template_is_told_apart() -> None:
    plain = BytePairEncodingTokenizer.from_text("the cat " * 9, 270)
    with pytest.raises(ValueError, match="no chat template: it was not trained on conversations"):
        Chat(OpenedModel(GPT(CONFIG), plain, "it"), Sampling(), 8)
