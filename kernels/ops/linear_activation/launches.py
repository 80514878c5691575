"""Launches of the op's kernels: for the inspector of machine code, and as operations for torch.library's own checks."""

from collections.abc import Iterator
from typing import Any

import torch

from gpt_from_scratch.kernels.ops.linear_activation import triton_activation
from gpt_from_scratch.kernels.triton_tools.subjects import DTYPES, Subject, empty, launched


def subjects(family: str, dtype: str, gelu: bool) -> Iterator[Subject]:
    """GPT-2's, with an fp32 bias."""

    def call() -> None:
        product, bias = empty(32768, 3072, dtype=DTYPES[dtype]), empty(3072)
        y = triton_activation.forward(product, bias, gelu)
        triton_activation.backward(y, product, bias, gelu)

    yield from launched(family, f"{dtype} {'gelu' if gelu else 'relu2'}", call)


def everything(family: str) -> Iterator[Subject]:
    """Both activations in every dtype."""
    for dtype in DTYPES:
        for gelu in (True, False):
            yield from subjects(family, dtype, gelu)


def covering(family: str) -> Iterator[Subject]:
    """GELU in bf16."""
    yield from subjects(family, "bf16", True)


def operations(device: str) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Registered operations with arguments to check them on."""
    ours = torch.ops.gpt_from_scratch
    product, bias = torch.randn(5, 24, device=device), torch.ones(24, device=device)
    for gelu in (True, False):
        yield ours.activation_forward, (product, bias, gelu)
        yield ours.activation_backward, (product, product, bias, gelu)
    yield ours.activation_forward, (product, None, True)
    yield ours.activation_backward, (product, product, None, True)
    yield ours.activation_backward, (product, product, bias, True, True, False)
