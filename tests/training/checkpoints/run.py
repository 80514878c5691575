"""A run in miniature for the checkpoint tests: all of its state is a function of the step."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.training.checkpoints import Checkpoint, CheckpointStore

TOKENIZER = CharacterTokenizer.from_text("to be or not to be")
CONFIG = GPTConfig(block_size=8, vocab_size=TOKENIZER.n_vocab, n_layer=1, n_head=1, n_embd=8)


def state_at(step: int, config: GPTConfig = CONFIG, width: int = 100) -> dict[str, Any]:
    """What `CheckpointStore.save` is given at this step."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in GPT(config).state_dict().items()}
    weights = {name: torch.full(shape, step + index / 64) for index, (name, shape) in enumerate(shapes.items())}
    tensors = {
        "momentum.wte.weight": torch.full((width,), float(step)),
        "adamw.step": torch.tensor(float(step)),
        "rng.cpu": torch.full((16,), step % 256, dtype=torch.uint8),
    }
    state = {"step": step, "sampler": {"seed": 1, "step": step}, "backends": {"attention": "torch"}}
    return {"config": config, "weights": weights, "tokenizer": TOKENIZER, "tensors": tensors, "state": state}


def assert_is_step(checkpoint: Checkpoint | None, step: int) -> None:
    """Every part of the checkpoint, to the last bit, is of this one step."""
    assert checkpoint is not None
    model = checkpoint.model()
    expected = state_at(step, model.config, width=len(checkpoint.tensors["momentum.wte.weight"]))
    assert checkpoint.step == step
    assert checkpoint.state == expected["state"]
    assert_equal(checkpoint.tensors, expected["tensors"])
    assert_equal(dict(model.state_dict()), expected["weights"])
    assert checkpoint.tokenizer().fingerprint == TOKENIZER.fingerprint


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype, name


def saved(folder: Path, *steps: int, **options: Any) -> CheckpointStore:
    """A store that has saved these steps."""
    store = CheckpointStore(folder, **options)
    for step in steps:
        store.save(step, **state_at(step))
    return store
