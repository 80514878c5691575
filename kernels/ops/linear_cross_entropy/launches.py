"""Launches of the loss's kernel: for the inspector of machine code, and as operations for torch.library's own checks."""

from collections.abc import Iterator
from typing import Any

import torch

from gpt_from_scratch.kernels.ops.linear_cross_entropy import triton_loss
from gpt_from_scratch.kernels.triton_tools.subjects import DTYPES, Subject, empty, launched


def subjects(family: str, dtype: str, vocabulary: int = 50257, terms: bool = False) -> Iterator[Subject]:
    """The loss with its gradient; `terms` has a weight a token, smoothing, a z-loss and capped logits."""

    def call() -> None:
        hidden, weight = empty(4096, 768, dtype=DTYPES[dtype]), empty(vocabulary, 768)
        targets = empty(4096, dtype=torch.int64)
        options = (empty(4096), -100, 0.1, 1e-4, 15.0) if terms else (None, -100, 0.0, 0.0, None)
        triton_loss.losses_and_gradients(hidden, weight, targets, *options, True, True)

    yield from launched(family, f"{dtype} v={vocabulary}" + (" terms" if terms else ""), call)


def everything(family: str) -> Iterator[Subject]:
    """Every dtype."""
    for dtype in DTYPES:
        yield from subjects(family, dtype)
    yield from subjects(family, "bf16", terms=True)


def covering(family: str) -> Iterator[Subject]:
    """GPT-2's vocabulary in bf16."""
    yield from subjects(family, "bf16")


def operations(device: str) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Registered operations with arguments to check them on."""
    hidden, weight = torch.randn(5, 24, device=device), torch.randn(11, 24, device=device)
    targets = torch.randint(11, (5,), device=device)
    for terms in (
        (None, -100, 0.0, 0.0, None, True, True),
        (torch.rand(5, device=device), -100, 0.1, 0.01, 2.0, True, False),
    ):
        arguments = (hidden, weight, targets, *terms)
        yield torch.ops.gpt_from_scratch.losses_and_gradients, arguments
