"""Benchmark of linear_cross_entropy: its sizes, rivals and goals on a GPU, and the configurations that are searched."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt_from_scratch.kernels.benchmarking import Goal, Work, both_ways, liger, part_of_memory, times_best
from gpt_from_scratch.kernels.launch_config import Config
from gpt_from_scratch.kernels.spec import ModelShape, Tuning


def work(rows: int, width: int, vocabulary: int, element: int = 2) -> Work:
    """Three products of the same size; logits need not reach memory. The weight and its gradient are fp32."""
    flops, hidden, head = 2.0 * rows * width * vocabulary, rows * width * element, vocabulary * width * 4
    make = partial(inputs, rows, width, vocabulary)
    shape = f"n={rows} c={width} v={vocabulary}"
    return Work("linear_cross_entropy", shape, flops, 2 * flops, hidden + head, hidden + head, make)


def inputs(rows: int, width: int, vocabulary: int, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Random rows and targets, and a weight in fp32."""
    return {
        "hidden": torch.randn(rows, width, device=device, dtype=dtype),
        "weight": torch.randn(vocabulary, width, device=device) * 0.02,
        "targets": torch.randint(vocabulary, (rows,), device=device),
    }


def in_a_model(shape: ModelShape, batch: int, tokens: int, element: int) -> Work:
    """The head's."""
    return work(batch * tokens, shape.n_embd, shape.vocab_size, element)


def eager(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """All logits at once."""
    return F.cross_entropy(F.linear(hidden, weight.to(hidden.dtype)).float(), targets)


def outside(work: Work, device: str, dtype: torch.dtype) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Eager torch, inductor and Liger."""
    yield "eager", eager
    if device == "cuda":
        yield "inductor", torch.compile(eager, dynamic=False)
    if (theirs := liger("fused_linear_cross_entropy.LigerFusedLinearCrossEntropyFunction", device)) is not None:
        yield "liger", lambda hidden, weight, targets: theirs(hidden, weight.to(hidden.dtype), targets)[0]


GPT2 = work(32 * 1024, 768, 50257)
SMALL = (work(512, 128, 65, 4), work(512, 128, 4096, 4))
GOALS = (
    Goal("linear_cross_entropy, 32k tokens, beside compiled eager", 1.0, "×", times_best(GPT2, both_ways, "inductor")),
    Goal("its peak memory, part of compiled eager's", 0.2, "%", part_of_memory(GPT2, "outside inductor"), at_most=True),
)


def candidates() -> Iterator[Config]:
    """Columns of a block, and warps."""
    for columns, warps in itertools.product((1024, 2048, 4096, 8192), (4, 8, 16)):
        yield Config(1, columns, warps, 1)


TUNING = (Tuning("loss", (0,), candidates, lambda size: GPT2),)
