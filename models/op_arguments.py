"""The arguments that a model gives to each op: what kernels are timed on."""

from typing import Any

import torch

from gpt_from_scratch.models.gpt import GPTConfig


def op_arguments(
    config: GPTConfig, batch: int, length: int, *, device: torch.device, dtype: torch.dtype
) -> dict[str, dict[str, Any]]:
    """Random arguments of every op in one training step of `batch` rows of `length` tokens, activations in `dtype`.

    Shapes, dtypes and strides are those that the model makes: queries, keys and values lie in one packed projection.
    """
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int, std: float = 1.0) -> torch.Tensor:
        return (torch.randn(shape, generator=generator) * std).to(device)

    heads = config.n_head + 2 * config.kv_heads
    packed = normal(batch, length, heads, config.head_size).to(dtype).transpose(1, 2)
    q, k, v = packed.split([config.n_head, config.kv_heads, config.kv_heads], dim=1)
    x, residual = (normal(batch, length, config.n_embd).to(dtype) for _ in range(2))
    weight = normal(config.n_embd) + 1
    bias = normal(config.n_embd) if config.bias else None
    targets = torch.randint(config.vocab_size, (batch, length), generator=generator).to(device)
    return {
        "attention": {"q": q, "k": k, "v": v},
        "layer_norm": {"x": x, "weight": weight, "bias": bias},
        "add_layer_norm": {"x": x, "residual": residual, "weight": weight, "bias": bias},
        "linear_cross_entropy": {
            "hidden": x,
            "weight": normal(config.vocab_size, config.n_embd, std=0.02),
            "targets": targets,
        },
    }


def calls_a_step(config: GPTConfig) -> dict[str, int]:
    """How often a forward pass calls each op."""
    return {
        "attention": config.n_layer,
        "layer_norm": 1,
        "add_layer_norm": 2 * config.n_layer,
        "linear_cross_entropy": 1,
    }
