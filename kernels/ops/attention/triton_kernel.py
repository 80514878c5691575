"""Attention by our Triton kernels: forward with split keys for decoding, and a backward without atomics."""

import math
from typing import Any

import torch
import triton
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.kernels.derivatives import first_derivatives_only
from gpt_from_scratch.kernels.ops.attention.reference import attention
from gpt_from_scratch.kernels.ops.attention.triton_backward import attention_backward_kv, attention_backward_q
from gpt_from_scratch.kernels.ops.attention.triton_forward import attention_forward, combine_splits
from gpt_from_scratch.kernels.triton_tools import configs
from gpt_from_scratch.kernels.triton_tools.launch import input_precision, launch, multiprocessors, opaque

LARGEST_HEAD = 128
FEW_QUERIES = 16  # up to so many query rows, the keys are split among programs
LEAST_SPLIT = 128  # keys


def limits(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = True,
    scale: float | None = None,
    kv_lengths: Tensor | None = None,
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
) -> Float[Tensor, "b hq tq d"]:
    """FlashAttention-2 (Dao 2023). The output lies as (b, t, h, d) in memory, as the projection after it wants it."""
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    if scale < 0:  # the kernel scales the rows' maxima
        q, scale = -q, -scale
    out: Tensor = _Attention.apply(q, k, v, kv_lengths, causal, scale)  # type: ignore[no-untyped-call]
    return out


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Float[Tensor, "b hq tq d"],
        k: Float[Tensor, "b hkv tk d"],
        v: Float[Tensor, "b hkv tk d"],
        kv_lengths: Int[Tensor, " b"] | None,
        causal: bool,
        scale: float,
    ) -> Float[Tensor, "b hq tq d"]:
        out, lse = forward(q, k, v, kv_lengths, causal, scale)
        ctx.save_for_backward(q, k, v, kv_lengths, out, lse)
        ctx.causal, ctx.scale = causal, scale
        result: Tensor = out
        return result

    @staticmethod
    @first_derivatives_only
    def backward(
        ctx: Any, do: Float[Tensor, "b hq tq d"]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None, None]:
        wanted = ctx.needs_input_grad[:3]
        found = backward(do, *ctx.saved_tensors, ctx.causal, ctx.scale, *wanted)
        dq, dk, dv = (gradient if is_wanted else None for gradient, is_wanted in zip(found, wanted, strict=True))
        return dq, dk, dv, None, None, None


def forward_shapes(
    q: Tensor, k: Tensor, v: Tensor, kv_lengths: Tensor | None, causal: bool, scale: float
) -> tuple[Tensor, Tensor]:
    """Empty tensors like `forward`'s."""
    return time_major(q), q.new_empty(q.shape[:3], dtype=torch.float32)


@opaque("attention_forward", forward_shapes)
def forward(
    q: Tensor, k: Tensor, v: Tensor, kv_lengths: Tensor | None, causal: bool, scale: float
) -> tuple[Tensor, Tensor]:
    """(output, log2 of the sums of exp2 of the scaled scores in units of log2, (b, hq, tq) in fp32)."""
    q, k, v = (addressable(x) for x in (q, k, v))
    kv_lengths = None if kv_lengths is None else kv_lengths.contiguous()
    (b, heads, tq, d), tk = q.shape, k.shape[2]
    config = configs.find(q, "attention", "decode" if tq <= FEW_QUERIES else "forward", d, tk)
    blocks = triton.cdiv(tq, config.rows) * b * heads
    span = tk
    if tq <= FEW_QUERIES and blocks:
        splits = max(1, min(triton.cdiv(tk, LEAST_SPLIT), config.waves * multiprocessors(q) // blocks))
        span = triton.cdiv(triton.cdiv(tk, splits), config.columns) * config.columns
    splits = triton.cdiv(tk, span) if tk else 1
    out, lse = forward_shapes(q, k, v, kv_lengths, causal, scale)
    partial, partial_lse = out, lse
    if splits > 1:
        partial = q.new_empty(splits, b, heads, tq, d, dtype=torch.float32)
        partial_lse = q.new_empty(splits, b, heads, tq, dtype=torch.float32)
    launch(
        attention_forward,
        (blocks, splits),
        config,
        *(q, k, v, lse if kv_lengths is None else kv_lengths, partial, partial_lse),
        *(*q.stride()[:3], *k.stride()[:3], *v.stride()[:3], *partial.stride()[-4:-1]),
        *(
            partial.stride(0),
            partial_lse.stride(0),
            heads,
            heads // k.shape[1],
            tq,
            tk,
            span,
            scale * math.log2(math.e),
        ),
        **constants(q, k, kv_lengths, causal, config),
        SPLIT=splits > 1,
        RUNNING=splits > 1 or needs_running_maximum(q),
    )
    if splits > 1:
        launch(
            combine_splits,
            (b * heads * tq,),
            configs.Config(1, num_warps=1, num_stages=1),
            *(partial, partial_lse, out, lse, *out.stride()[:3], heads, tq, b * heads * tq, splits),
            D=d,
            BLOCK_D=triton.next_power_of_2(d),
            SPLITS=triton.next_power_of_2(splits),
        )
    return out, lse


def backward_shapes(
    do: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    kv_lengths: Tensor | None,
    out: Tensor,
    lse: Tensor,
    causal: bool,
    scale: float,
    with_q: bool = True,
    with_k: bool = True,
    with_v: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Empty tensors like `backward`'s."""
    return (
        time_major(q) if with_q else q.new_empty(0),
        time_major(k) if with_k else q.new_empty(0),
        time_major(v) if with_v else q.new_empty(0),
    )


@opaque("attention_backward", backward_shapes)
def backward(
    do: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    kv_lengths: Tensor | None,
    out: Tensor,
    lse: Tensor,
    causal: bool,
    scale: float,
    with_q: bool = True,
    with_k: bool = True,
    with_v: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """(dq, dk, dv), laid out as (b, t, h, d) in memory; what is not wanted is an empty vector."""
    q, k, v, do = (addressable(x) for x in (q, k, v, do))
    kv_lengths = None if kv_lengths is None else kv_lengths.contiguous()
    (b, heads, tq, d), (kv_heads, tk) = q.shape, k.shape[1:3]
    dq, dk, dv = backward_shapes(do, q, k, v, kv_lengths, out, lse, causal, scale, with_q, with_k, with_v)
    delta = torch.empty_like(lse)
    lengths = lse if kv_lengths is None else kv_lengths
    scales = (scale * math.log2(math.e), scale)
    inputs = (*q.stride()[:3], *k.stride()[:3], *v.stride()[:3])
    if with_q or with_k:  # dk needs delta, which this kernel makes
        config = configs.find(q, "attention", "backward_q", d, tk)
        launch(
            attention_backward_q,
            (triton.cdiv(tq, config.rows) * b * heads,),
            config,
            *(q, k, v, lengths, out, do, lse, delta, dq),
            *(*inputs, *out.stride()[:3], *do.stride()[:3], *strides(dq), heads, heads // kv_heads, tq, tk, *scales),
            **constants(q, k, kv_lengths, causal, config),
            DQ=with_q,
        )
    if with_k or with_v:
        config = configs.find(q, "attention", "backward_kv", d, tq)
        launch(
            attention_backward_kv,
            (triton.cdiv(tk, config.columns) * b * kv_heads,),
            config,
            *(q, k, v, lengths, do, lse, delta, dk, dv),
            *(*inputs, *do.stride()[:3], *strides(dk), *strides(dv), kv_heads, heads // kv_heads, tq, tk, *scales),
            **constants(q, k, kv_lengths, causal, config),
            DK=with_k,
            DV=with_v,
        )
    return dq, dk, dv


def strides(gradient: Tensor) -> tuple[int, ...]:
    """A gradient's strides of batch, head and row; zeros where it is not wanted, and so an empty vector."""
    return gradient.stride()[:3] if gradient.ndim == 4 else (0, 0, 0)


def constants(q: Tensor, k: Tensor, kv_lengths: Tensor | None, causal: bool, config: configs.Config) -> dict[str, Any]:
    """The constexpr arguments that the three kernels share."""
    lead, rest = whole_tile(q.shape[3]) if narrow_tiles_break(q) else tiles(q.shape[3])
    return {
        "D": q.shape[3],
        "LEAD": lead,
        "REST": rest,
        "CAUSAL": causal,
        "LENGTHS": kv_lengths is not None,
        "EVEN_Q": q.shape[2] % config.rows == 0,
        "EVEN_K": k.shape[2] % config.columns == 0,
        "PRECISION": input_precision(q),
        "BLOCK_M": config.rows,
        "BLOCK_N": config.columns,
    }


def tiles(head_size: int) -> tuple[int, int]:
    """Widths of the two tiles that hold a head: 80 as 64 + 16, but 112 as 128 + 0, since 64 + 64 would gain nothing."""
    whole = max(16, triton.next_power_of_2(head_size))
    lead = max(16, whole // 2)
    rest = max(16, triton.next_power_of_2(max(1, head_size - lead)))
    return (lead, rest) if head_size > lead and lead + rest < whole else (whole, 0)


def needs_running_maximum(q: Tensor) -> bool:
    """fp16 has no room for exponentials above 1; in fp32 the kernel without would spill, and only the interpreter runs it."""
    return q.dtype == torch.float16 or (q.dtype == torch.float32 and configs.family(q) != "interpreter")


def whole_tile(head_size: int) -> tuple[int, int]:
    """A head in one tile of at least 64 columns."""
    return max(64, triton.next_power_of_2(head_size)), 0


def narrow_tiles_break(q: Tensor) -> bool:
    """Whether a tile of 16 or 32 columns can be read beyond its shared memory.

    Hopper's matrix instructions do that in code of triton 3.6 and 3.7 (triton#10573, #11366): with heads of 40 as 32 + 16 the
    forward pass ended in an illegal access on an H200. fp32 is multiplied without those instructions.
    """
    return configs.family(q) == "sm_90" and q.dtype != torch.float32


def addressable(x: Tensor) -> Tensor:
    """x, copied only where a head's elements are apart, or rows so far apart that offsets in a tile pass 32 bits."""
    return x if x.stride(3) == 1 and 0 <= x.stride(2) < 2**23 else x.contiguous()


def time_major(x: Tensor) -> Tensor:
    """An empty tensor of x's shape (b, h, t, d) that lies as (b, t, h, d) in memory."""
    b, h, t, d = x.shape
    return x.new_empty(b, t, h, d).transpose(1, 2)
