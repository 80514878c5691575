"""Launches of the loss's kernel: for the inspector of machine code, and as operations for torch.library's own checks."""

from collections.abc import Iterator
from typing import Any

import torch

from gpt_from_scratch.kernels.ops.linear_cross_entropy import triton_loss
from gpt_from_scratch.kernels.triton_tools.subjects import DTYPES, Subject, empty, launched


def subjects(family: str, dtype: str, vocabulary: int = 50257) -> Iterator[Subject]:
    """The loss with its gradient."""

    def call() -> None:
        hidden, weight = empty(4096, 768, dtype=DTYPES[dtype]), empty(vocabulary, 768)
        targets = empty(4096, dtype=torch.int64)
        triton_loss.losses_and_gradients(hidden, weight, targets, None, -100, True, True)

    yield from launched(family, f"{dtype} v={vocabulary}", call)


def everything(family: str) -> Iterator[Subject]:
    """Every dtype."""
    for dtype in DTYPES:
        yield from subjects(family, dtype)


def covering(family: str) -> Iterator[Subject]:
    """GPT-2's vocabulary in bf16."""
    yield from subjects(family, "bf16")


def operations(device: str) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Registered operations with arguments to check them on."""
    hidden, weight = torch.randn(5, 24, device=device), torch.randn(11, 24, device=device)
    targets = torch.randint(11, (5,), device=device)
    for wanted in ((True, True), (True, False)):
        arguments = (hidden, weight, targets, None, -100, *wanted)
        yield torch.ops.gpt_from_scratch.losses_and_gradients, arguments
