"""Launches of attention's kernels: for the inspector of machine code, and as operations for torch.library's own checks."""

from collections.abc import Iterator
from typing import Any

import torch

from gpt_from_scratch.kernels.ops.attention.masking import document_bounds
from gpt_from_scratch.kernels.ops.attention.triton_parts import passes
from gpt_from_scratch.kernels.triton_tools.subjects import DTYPES, Subject, empty, launched

HEADS = (64, 80, 128)  # the lines of configurations, and a head that is two tiles where that works
MULTIPLYING = ("attention_forward", "attention_decode", "attention_backward_q", "attention_backward_kv")
LARGEST_COVERED = {"sm_80": 128, "sm_90": 128, "sm_100": 80, "gfx942": 80}


def subjects(
    family: str,
    dtype: str,
    head_size: int,
    *,
    causal: bool = True,
    ragged: bool = False,
    bounded: bool = False,
    scored: bool = False,
    tokens: int = 1024,
) -> Iterator[Subject]:
    """GPT-2's packed projection at 12 heads; `ragged` has the lengths of a batch's rows, `tokens` 1 decodes.

    `bounded` has documents and a window, `scored` a cap and sinks.
    """
    window, softcap = 256 if bounded else None, 30.0 if scored else None

    def call() -> None:
        packed = empty(8, tokens, 36, head_size, dtype=DTYPES[dtype]).transpose(1, 2)
        q, k, v = packed.split(12, dim=1)
        lengths = empty(8, dtype=torch.int64) if ragged else None
        starts = empty(8, 1024, dtype=torch.int32) if bounded else None
        sinks = empty(12) if scored else None
        if tokens == 1:
            k, v = (empty(8, 12, 1024, head_size, dtype=DTYPES[dtype]) for _ in range(2))
        inputs = (q, k, v, lengths, starts, starts, sinks)
        options = (causal, 0.125, window, softcap)
        out, lse = passes.forward(*inputs, *options)
        if tokens > 1:
            passes.backward(out, *inputs, out, lse, *options)

    variant = f"{dtype} d={head_size}" + (" full" if not causal else "") + (" ragged" if ragged else "")
    variant += (" bounded" if bounded else "") + (" scored" if scored else "")
    yield from launched(family, variant + (" decode" if tokens == 1 else ""), call, MULTIPLYING)


def everything(family: str) -> Iterator[Subject]:
    """Every line, in every dtype that it serves, at the sizes on both of its sides."""
    for dtype in DTYPES:
        for head_size in HEADS if dtype != "fp32" else HEADS[:1]:
            yield from subjects(family, dtype, head_size)
        yield from subjects(family, dtype, 64, tokens=1)
    yield from subjects(family, "bf16", 64, causal=False)
    yield from subjects(family, "bf16", 64, ragged=True)
    for head_size in HEADS:
        yield from subjects(family, "bf16", head_size, bounded=True)
        yield from subjects(family, "bf16", head_size, bounded=True, scored=True)
    yield from subjects(family, "fp16", 64, bounded=True, scored=True)
    yield from subjects(family, "bf16", 64, scored=True)
    yield from subjects(family, "bf16", 64, causal=False, bounded=True)
    yield from subjects(family, "bf16", 64, tokens=1, ragged=True, bounded=True, scored=True)


def covering(family: str) -> Iterator[Subject]:
    """Each kernel at GPT-2's sizes, the largest head and the divided one."""
    yield from subjects(family, "bf16", 64)
    yield from subjects(family, "bf16", 64, tokens=1)
    largest = LARGEST_COVERED[family]
    yield from subjects(family, "fp16", largest, ragged=largest == 80)
    yield from subjects(family, "bf16", 64, bounded=True, scored=True)


def operations(device: str) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Registered operations with arguments to check them on."""
    ours = torch.ops.gpt_from_scratch
    q = tuple(torch.randn(1, 9, 3, 2, 16, device=device).transpose(1, 3).unbind(2))
    lengths, sinks = torch.tensor([7], device=device), torch.randn(2, device=device)
    bounds = document_bounds(torch.tensor([[3, 3, 3, 1, 1, 1, 1, 2, 2]], device=device))
    for inputs in ((*q, None, None, None, None), (*q, lengths, *bounds, sinks)):
        options = (True, 0.25, *((None, None) if inputs[6] is None else (3, 5.0)))
        out, lse = ours.attention_forward(*inputs, *options)
        yield ours.attention_forward, (*inputs, *options)
        yield ours.attention_backward, (out, *inputs, out, lse, *options)
        yield ours.attention_backward, (out, *inputs, out, lse, *options, False, True, False, inputs[6] is not None)
