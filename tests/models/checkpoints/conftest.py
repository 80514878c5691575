"""A small run with two checkpoints."""

import shutil
from pathlib import Path

import pytest
import torch

from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer
from gpt_from_scratch.training.checkpoints import CheckpointStore

TOKENIZER = BytePairEncodingTokenizer.from_text("Tom ran to the park. Mia ran to Tom.\n" * 3, 270)
CONFIG = GPTConfig(vocab_size=TOKENIZER.n_vocab, block_size=32, n_layer=1, n_head=2, n_embd=16)
TEXT = "Tom ran to the park. "


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with checkpoints of the steps 5 and 10."""
    torch.manual_seed(0)
    run = tmp_path_factory.mktemp("runs") / "one"
    store = CheckpointStore(run / "checkpoints")
    for step in (5, 10):
        tensors = {"optimizer.x": torch.zeros(8)}
        model = GPT(CONFIG)
        store.save(
            step,
            config=CONFIG,
            weights=model.state_dict(),
            tokenizer=TOKENIZER,
            tensors=tensors,
            state={"step": step, "config": {"data": {"source": "text"}}},
        )
    (run / "text.txt").write_text(TEXT * 20, encoding="utf-8")
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    shutil.copytree(whole, tmp_path / "one")
    return tmp_path / "one"
