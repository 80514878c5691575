"""Launches of the norm's kernels: for the inspector of machine code, and as operations for torch.library's own checks."""

from collections.abc import Iterator
from typing import Any

import torch

from gpt_from_scratch.kernels.ops.rms_norm import triton_rms
from gpt_from_scratch.kernels.triton_tools.subjects import DTYPES, Subject, empty, launched

WIDTHS = (768, 1600, 4096, 8192)


def subjects(family: str, dtype: str, width: int) -> Iterator[Subject]:
    """The norm of rows, with an fp32 weight."""

    def call() -> None:
        x, weight = empty(32768, width, dtype=DTYPES[dtype]), empty(width)
        y = triton_rms.forward(x, weight, 1e-6)
        triton_rms.backward(y, x, weight, 1e-6)

    yield from launched(family, f"{dtype} width={width}", call)


def of_heads(family: str, dtype: str, size: int) -> Iterator[Subject]:
    """The norm of queries and keys in a packed projection, without a weight."""

    def call() -> None:
        x = empty(32, 1024, 36, size, dtype=DTYPES[dtype]).transpose(1, 2)[:, :24]
        y = triton_rms.forward(x, None, 1e-6)
        triton_rms.backward(y, x, None, 1e-6)

    yield from launched(family, f"{dtype} heads of {size}", call)


def everything(family: str) -> Iterator[Subject]:
    """Every line, at the sizes on both of its sides."""
    for dtype in DTYPES:
        yield from of_heads(family, dtype, 64)
        yield from subjects(family, dtype, WIDTHS[0])
    yield from of_heads(family, "bf16", 128)
    for width in WIDTHS[1:]:
        yield from subjects(family, "bf16", width)


def covering(family: str) -> Iterator[Subject]:
    """Heads of 64, and the largest width."""
    yield from of_heads(family, "bf16", 64)
    yield from subjects(family, "bf16", WIDTHS[-1])


def operations(device: str) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Registered operations with arguments to check them on."""
    ours = torch.ops.gpt_from_scratch
    weight = torch.ones(24, device=device)
    x = torch.randn(2, 3, 5, 24, device=device).transpose(1, 2)[:, :3]
    yield ours.rms_forward, (x, weight, 1e-6)
    yield ours.rms_forward, (x, None, 1e-6)
    yield ours.rms_backward, (x, x, weight, 1e-6)
    yield ours.rms_backward, (x, x, weight, 1e-6, True, False)
    yield ours.rms_backward, (x, x, None, 1e-6)
