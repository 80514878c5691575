"""The Triton backend of attention, with its autograd function."""

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.kernels.derivatives import first_derivatives_only
from gpt_from_scratch.kernels.ops.attention.masking import document_bounds
from gpt_from_scratch.kernels.ops.attention.reference import attention
from gpt_from_scratch.kernels.ops.attention.triton_parts.passes import backward, forward

LARGEST_HEAD = 128


def limits(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = True,
    scale: float | None = None,
    kv_lengths: Tensor | None = None,
    documents: Tensor | None = None,
    window: int | None = None,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> str | None:
    """Why the kernels cannot take these arguments, or None."""
    if q.dtype == torch.float64:
        return "torch.float64 (the kernels compute in fp32)"
    if not 1 <= q.shape[-1] <= LARGEST_HEAD:
        return f"head size {q.shape[-1]}, and the kernels take 1 to {LARGEST_HEAD}"
    return None


@attention.backend("triton", toolchain="triton", limits=limits)
def attention_triton(
    q: Float[Tensor, "b hq tq d"],
    k: Float[Tensor, "b hkv tk d"],
    v: Float[Tensor, "b hkv tk d"],
    *,
    causal: bool = True,
    scale: float | None = None,
    kv_lengths: Int[Tensor, " b"] | None = None,
    documents: Int[Tensor, "b tk"] | None = None,
    window: int | None = None,
    softcap: float | None = None,
    sinks: Float[Tensor, " hq"] | None = None,
) -> Float[Tensor, "b hq tq d"]:
    """FlashAttention-2 (Dao 2023). The output's memory layout is (b, t, h, d), as the next projection needs it."""
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    if scale < 0:  # the kernel scales the rows' maxima
        q, scale = -q, -scale
    starts, ends = (None, None) if documents is None else document_bounds(documents)
    if window is not None and kv_lengths is None and window >= max(q.shape[2], k.shape[2]):
        window = None  # it reaches all
    masks = (kv_lengths, starts, ends, sinks)
    out: Tensor = _Attention.apply(q, k, v, *masks, causal, scale, window, softcap)  # type: ignore[no-untyped-call]
    return out


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Float[Tensor, "b hq tq d"],
        k: Float[Tensor, "b hkv tk d"],
        v: Float[Tensor, "b hkv tk d"],
        kv_lengths: Int[Tensor, " b"] | None,
        starts: Int[Tensor, "b tk"] | None,
        ends: Int[Tensor, "b tk"] | None,
        sinks: Float[Tensor, " hq"] | None,
        *options: bool | float | int | None,
    ) -> Float[Tensor, "b hq tq d"]:
        inputs = (q, k, v, kv_lengths, starts, ends, sinks)
        out, lse = forward(*inputs, *options)
        ctx.save_for_backward(*inputs, out, lse)
        ctx.options = options
        result: Tensor = out
        return result

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, do: Float[Tensor, "b hq tq d"]) -> tuple[Tensor | None, ...]:
        wanted = [ctx.needs_input_grad[n] for n in (0, 1, 2, 6)]
        found = backward(do, *ctx.saved_tensors, *ctx.options, *wanted)
        dq, dk, dv, dsinks = (
            gradient if is_wanted else None for gradient, is_wanted in zip(found, wanted, strict=True)
        )
        return dq, dk, dv, None, None, None, dsinks, None, None, None, None
