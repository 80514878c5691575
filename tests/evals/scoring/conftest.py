"""A small random model with its tokenizer, in memory and as a checkpoint's folder."""

from pathlib import Path

import pytest
import torch

from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.files import TOKENIZER_FILE

CHARACTERS = "".join(map(chr, range(32, 127))) + "\n\té好"


def make_model(vocab_size: int, block_size: int = 48) -> GPT:
    torch.manual_seed(0)
    model = GPT(GPTConfig(block_size=block_size, vocab_size=vocab_size, n_layer=2, n_head=2, n_embd=32))
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.fixture(scope="session")
def checkpoint() -> OpenedModel:
    tokenizer = CharacterTokenizer("".join(sorted(CHARACTERS)))
    return OpenedModel(make_model(tokenizer.n_vocab), tokenizer, "tiny")


@pytest.fixture(scope="session")
def folder(checkpoint: OpenedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, of which only the last checkpoint is whole."""
    run = tmp_path_factory.mktemp("runs") / "tiny-run"
    folder = run / "checkpoints" / "step-00000020" / "model"
    checkpoint.model.save_pretrained(folder)
    checkpoint.tokenizer.save(folder / TOKENIZER_FILE)
    (run / "checkpoints" / "step-00000010").mkdir()
    (run / "config.json").write_text("{}")  # of the training
    return run
