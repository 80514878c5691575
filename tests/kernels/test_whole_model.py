"""The ops inside a whole model: one graph for torch.compile, whichever backend is chosen."""

import pytest
import torch

from gpt_from_scratch.kernels.choices import use_backend
from gpt_from_scratch.kernels.registry import load_backends
from gpt_from_scratch.models.gpt import GPT, GPTConfig


@pytest.mark.compile
@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_the_model_compiles_to_one_graph(backend: str) -> None:
    """fullgraph=True forward and backward, and the gradients are eager's. Inductor's own code is in test_parity.py."""
    torch.manual_seed(0)
    model = GPT(GPTConfig(block_size=24, vocab_size=67, n_layer=2, n_head=2, n_embd=32))
    tokens = torch.randint(67, (2, 25), generator=torch.Generator().manual_seed(1))
    gradients = []
    load_backends("cpu")
    with use_backend(backend):
        for called in (model, torch.compile(model, fullgraph=True, backend="aot_eager")):
            model.zero_grad()
            called(tokens[:, :-1], tokens[:, 1:]).backward()
            gradients.append([parameter.grad for parameter in model.parameters()])
    for eager, traced in zip(*gradients, strict=True):
        torch.testing.assert_close(eager, traced)


@pytest.mark.compile
def test_the_model_compiles_with_inductor() -> None:
    """Real code, of the whole; `--compile` makes it of a block. (A target out of range ends the process there: its check lies
    inside a loop over threads, out of which C++ cannot throw.)"""
    torch.manual_seed(0)
    model = GPT(GPTConfig(block_size=24, vocab_size=67, n_layer=1, n_head=2, n_embd=32))
    tokens = torch.randint(67, (2, 25), generator=torch.Generator().manual_seed(1))
    load_backends("cpu")
    compiled = torch.compile(model, fullgraph=True)
    expected = model(tokens[:, :-1], tokens[:, 1:])
    torch.testing.assert_close(compiled(tokens[:, :-1], tokens[:, 1:]), expected)


def test_targets_out_of_range_are_refused() -> None:
    model = GPT(GPTConfig(block_size=8, vocab_size=10, n_layer=1, n_head=1, n_embd=16))
    tokens = torch.zeros(1, 4, dtype=torch.int64)
    for backend in ("reference", "torch"):
        with use_backend(backend):
            for wrong in (10, -1):
                with pytest.raises(
                    ValueError, match=rf"targets must be 0 to 9 or ignore_index \(-100\), one is {wrong}"
                ):
                    model(tokens, torch.full_like(tokens, wrong))
            assert model(tokens, torch.full_like(tokens, -100)).item() == 0
