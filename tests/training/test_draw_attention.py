"""The command: a picture of a saved model, or words that say what is wrong."""

from pathlib import Path

import pytest
import torch

from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE
from gpt_from_scratch.training.commands.attention import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = CharacterTokenizer.from_text("the cat")
    GPT(GPTConfig(block_size=8, vocab_size=tokenizer.n_vocab, n_layer=2, n_head=2, n_embd=8)).save_pretrained(tmp_path)
    tokenizer.save(tmp_path / TOKENIZER_FILE)
    return tmp_path


def test_it_draws(folder: Path, tmp_path: Path) -> None:
    main([str(folder), "--text", "the cat", "--out", str(tmp_path / "pictures")])
    assert (tmp_path / "pictures" / "attention.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_wrong_is_said(folder: Path) -> None:
    with pytest.raises((OSError, ValueError), match="the picture takes 8: give a shorter --text"):
        main([str(folder), "--text", "the cat the cat"])
    (folder / TOKENIZER_FILE).unlink()
    with pytest.raises((OSError, ValueError), match=f"has no {TOKENIZER_FILE}"):
        main([str(folder)])
