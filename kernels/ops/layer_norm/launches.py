"""Launches of the norms' kernels: for the inspector of machine code, and as operations for torch.library's own checks."""

from collections.abc import Iterator
from typing import Any

import torch

from gpt_from_scratch.kernels.ops.layer_norm import triton_norm
from gpt_from_scratch.kernels.triton_tools.subjects import DTYPES, Subject, empty, launched

WIDTHS = (768, 1600, 4096, 8192)


def subjects(family: str, dtype: str, width: int) -> Iterator[Subject]:
    """The norm after a residual addition, with fp32 parameters: all that the kernels can do."""

    def call() -> None:
        x, weight = empty(32768, width, dtype=DTYPES[dtype]), empty(width)
        _, total, mean, rstd = triton_norm.forward(x, x, weight, weight, 1e-5)
        triton_norm.backward(x, x, total, weight, mean, rstd, torch.float32)

    yield from launched(family, f"{dtype} width={width}", call)


def everything(family: str) -> Iterator[Subject]:
    """Every line, in every dtype, at the sizes on both of its sides."""
    for dtype in DTYPES:
        yield from subjects(family, dtype, WIDTHS[0])
    for width in WIDTHS[1:]:
        yield from subjects(family, "bf16", width)


def covering(family: str) -> Iterator[Subject]:
    """GPT-2's width and the largest."""
    yield from subjects(family, "bf16", WIDTHS[0])
    yield from subjects(family, "bf16", triton_norm.WIDEST)


def operations(device: str) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Registered operations with arguments to check them on."""
    ours = torch.ops.gpt_from_scratch
    x, weight = torch.randn(5, 24, device=device), torch.ones(24, device=device)
    y, total, mean, rstd = ours.norm_forward(x, x, weight, weight, 1e-5)
    yield ours.norm_forward, (x, x, weight, weight, 1e-5)
    yield ours.norm_forward, (x, None, weight, None, 1e-5)
    yield ours.norm_backward, (y, None, total, weight, mean, rstd, torch.float32)
    yield ours.norm_backward, (y, None, total, weight, mean, rstd, None, True, False)
