"""Benchmark of layer_norm: its sizes, rivals and goals on a GPU, and the configurations that are searched."""

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
    """Read x, write y; backward read dy and x, write dx. The arithmetic is not counted: memory decides."""
    tensor = float(rows * width * element)
    return Work("layer_norm", f"{rows}×{width}", 0, 0, 2 * tensor, 3 * tensor, partial(inputs, rows, width))


def inputs(rows: int, width: int, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Random rows, and parameters in the same dtype."""
    parameters = {"weight": torch.ones(width, device=device), "bias": torch.zeros(width, device=device)}
    x = torch.randn(rows, width, device=device, dtype=dtype)
    return {"x": x, **{name: value.to(dtype) for name, value in parameters.items()}}


def in_a_model(shape: ModelShape, batch: int, tokens: int, element: int) -> Work:
    """The first norm."""
    return work(batch * tokens, shape.n_embd, element)


def eager(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """torch's own kernel."""
    return F.layer_norm(x, weight.shape, weight, bias)


def outside(work: Work, device: str, dtype: torch.dtype) -> Iterator[tuple[str, Callable[..., Any]]]:
    """torch's kernel, inductor's and Liger's."""
    yield "eager", eager
    if device == "cuda":
        yield "inductor", torch.compile(eager, dynamic=False)
    if (theirs := liger("layer_norm.LigerLayerNormFunction", device)) is not None:
        yield "liger", lambda x, weight, bias: theirs(x, weight, bias, 1e-5)


GPT2 = work(ROWS, 768)
SMALL = (work(1024, 128, 4),)
LARGE = tuple(work(ROWS, width) for width in (1024, 1600))
GOALS = (
    Goal("layer_norm, both passes, beside eager, compiled, Liger", 1.0, "×", times_best(GPT2, both_ways)),
    Goal("layer_norm, part of copy bandwidth, 32k rows", 0.7, "%", part_of_copy(GPT2)),
)


def candidates() -> Iterator[Config]:
    """Rows a program, warps and programs a multiprocessor."""
    for rows, warps, waves in itertools.product((1, 2, 4, 8), (1, 2, 4, 8), (1, 2, 4, 8, 12)):
        yield Config(rows, 0, warps, 1, waves)


TUNING = tuple(
    Tuning(kernel, (768, 1600), candidates, lambda size: work(ROWS, size)) for kernel in ("forward", "backward")
)
