"""Benchmark of add_layer_norm: its sizes, rivals and goals on a GPU."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gpt_from_scratch.kernels.benchmarking import Goal, Work, both_ways, liger, part_of_copy, times_best
from gpt_from_scratch.kernels.ops.layer_norm import benchmark as plain
from gpt_from_scratch.kernels.spec import ModelShape


def work(rows: int, width: int, element: int = 2) -> Work:
    """Read two, write the sum and its norm; backward read the sum and both gradients, write one."""
    tensor = float(rows * width * element)
    return Work("add_layer_norm", f"{rows}×{width}", 0, 0, 4 * tensor, 4 * tensor, partial(inputs, rows, width))


def inputs(rows: int, width: int, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """layer_norm's, with a second summand."""
    made = plain.inputs(rows, width, device, dtype)
    return {"x": made.pop("x"), "residual": torch.randn(rows, width, device=device, dtype=dtype), **made}


def in_a_model(shape: ModelShape, batch: int, tokens: int, element: int) -> Work:
    """Each norm after a layer."""
    return work(batch * tokens, shape.n_embd, element)


def eager(x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """An addition, then torch's own kernel."""
    total = x + residual
    return plain.eager(total, weight, bias), total


def outside(work: Work, device: str, dtype: torch.dtype) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Liger fuses the addition with RMSNorm only; its LayerNorm gets the sum, as its users would write it."""
    yield "eager", eager
    if device == "cuda":
        yield "inductor", torch.compile(eager, dynamic=False)
    if (theirs := liger("layer_norm.LigerLayerNormFunction", device)) is not None:

        def add_then_liger(x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
            total = x + residual
            return theirs(total, weight, bias, 1e-5), total

        yield "add, then liger", add_then_liger


GPT2 = work(plain.ROWS, 768)
SMALL = (work(1024, 128, 4),)
LARGE = tuple(work(plain.ROWS, width) for width in (1024, 1600))
GOALS = (
    Goal("add_layer_norm, both passes, beside eager, compiled, Liger", 1.0, "×", times_best(GPT2, both_ways)),
    Goal("add_layer_norm, part of copy bandwidth, 32k rows", 0.7, "%", part_of_copy(GPT2)),
)
