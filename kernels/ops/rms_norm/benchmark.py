"""Benchmark of rms_norm: its sizes, rivals and goal on a GPU, and the configurations that are searched."""

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gpt_from_scratch.kernels.benchmarking import Goal, Work, both_ways, liger, part_of_copy, times_best
from gpt_from_scratch.kernels.launch_config import Config
from gpt_from_scratch.kernels.spec import ModelShape, Tuning

ROWS = 32 * 1024  # tokens of a micro-batch


def work(rows: int, width: int, element: int = 2) -> Work:
    """With a weight. Read x, write y; backward read dy and x, write dx. The weight and its partial sums are not counted."""
    tensor = float(rows * width * element)
    return Work("rms_norm", f"{rows}×{width}", 0, 0, 2 * tensor, 3 * tensor, partial(inputs, rows, width))


def inputs(rows: int, width: int, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Random rows, and a weight in the same dtype."""
    return {
        "x": torch.randn(rows, width, device=device, dtype=dtype),
        "weight": torch.ones(width, device=device, dtype=dtype),
    }


def heads(batch: int, tokens: int, heads: int, width: int, element: int = 2) -> Work:
    """Queries and keys without a weight, which lie in a packed projection."""
    tensor = float(batch * tokens * heads * width * element)
    shape = f"b={batch} t={tokens} h={heads} d={width}"
    return Work("rms_norm", shape, 0, 0, 2 * tensor, 3 * tensor, partial(inputs_of_heads, batch, tokens, heads, width))


def inputs_of_heads(batch: int, tokens: int, heads: int, width: int, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Two thirds of what c_attn gives: values are not normed."""
    packed = torch.randn(batch, tokens, heads + (heads + 1) // 2, width, device=device, dtype=dtype)
    return {"x": packed.transpose(1, 2)[:, :heads]}


def in_a_model(shape: ModelShape, batch: int, tokens: int, element: int) -> Work:
    """One layer's queries and keys."""
    return heads(batch, tokens, shape.n_head + shape.kv_heads, shape.head_size, element)


def eager(x: Tensor, weight: Tensor | None = None) -> Tensor:
    """torch's own function."""
    return F.rms_norm(x, x.shape[-1:], weight, 1e-6)


def outside(work: Work, device: str, dtype: torch.dtype) -> Iterator[tuple[str, Callable[..., Any]]]:
    """torch's function, inductor's and Liger's, which wants a weight."""
    yield "eager", eager
    if device == "cuda":
        yield "inductor", torch.compile(eager, dynamic=False)
    if (theirs := liger("rms_norm.LigerRMSNormFunction", device)) is not None and "×" in work.shape:
        yield "liger", lambda x, weight: theirs(x, weight, 1e-6, 0.0, "llama", False)


MODERN = heads(32, 1024, 24, 64)
LLAMA = work(ROWS, 768)
SMALL = (heads(16, 128, 8, 32, 4), work(1024, 128, 4))
LARGE = (MODERN, LLAMA, work(ROWS, 1600))
GOALS = (
    Goal("rms_norm with a weight, both passes, beside eager, compiled, Liger", 1.0, "×", times_best(LLAMA, both_ways)),
    Goal("rms_norm with a weight, part of copy bandwidth, 32k rows", 0.7, "%", part_of_copy(LLAMA)),
)


def candidates() -> Iterator[Config]:
    """Rows a program, warps and programs a multiprocessor."""
    for rows, warps, waves in itertools.product((1, 2, 4, 8, 16, 32, 64), (1, 2, 4, 8), (1, 2, 4, 8, 12)):
        yield Config(rows, 0, warps, 1, waves)


TUNING = tuple(
    Tuning(kernel, (64, 128, 768, 1600), candidates, lambda size: MODERN if size == 64 else work(ROWS, size))
    for kernel in ("forward", "backward")
)
