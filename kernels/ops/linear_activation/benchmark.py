"""Benchmark of linear_activation: its sizes, rivals and goal on a GPU, and the configurations that are searched."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt_from_scratch.kernels.benchmarking import Goal, Work, both_ways, times_best
from gpt_from_scratch.kernels.launch_config import Config
from gpt_from_scratch.kernels.spec import ModelShape, Tuning

ROWS = 32 * 1024  # tokens of a micro-batch


def work(rows: int, inner: int, width: int, element: int = 2) -> Work:
    """Three products of one size. Forward writes the product, which backward needs, and the activations."""
    flops, outer, x, weight = (
        2.0 * rows * inner * width,
        rows * width * element,
        rows * inner * element,
        inner * width * 4,
    )
    make = partial(inputs, rows, inner, width)
    shape = f"n={rows} d={inner} f={width}"
    forward, backward = float(x + weight + 2 * outer), float(2 * outer + 2 * x + 2 * weight)
    return Work("linear_activation", shape, flops, 2 * flops, forward, backward, make)


def inputs(rows: int, inner: int, width: int, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Random rows, and parameters in the same dtype."""
    return {
        "x": torch.randn(rows, inner, device=device, dtype=dtype),
        "weight": (torch.randn(width, inner, device=device) * 0.02).to(dtype),
        "bias": torch.randn(width, device=device).to(dtype),
    }


def in_a_model(shape: ModelShape, batch: int, tokens: int, element: int) -> Work:
    """One MLP's first half."""
    return work(batch * tokens, shape.n_embd, shape.mlp_size, element)


def eager(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """torch's own kernels."""
    return F.gelu(F.linear(x, weight, bias), approximate="tanh")


def outside(work: Work, device: str, dtype: torch.dtype) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Eager torch and inductor."""
    yield "eager", eager
    if device == "cuda":
        yield "inductor", torch.compile(eager, dynamic=False)


GPT2 = work(ROWS, 768, 3072)
SMALL = (work(512, 128, 512, 4),)
GOALS = (Goal("linear_activation, both passes, beside eager and compiled", 1.0, "×", times_best(GPT2, both_ways)),)


def candidates() -> Iterator[Config]:
    """Tiles, warps and programs a multiprocessor."""
    for rows, columns, warps, waves in itertools.product((4, 8, 16, 32), (64, 128, 256), (4, 8), (2, 4, 8)):
        yield Config(rows, columns, warps, 1, waves)


TUNING = tuple(Tuning(kernel, (0,), candidates, lambda size: GPT2) for kernel in ("forward", "backward"))
