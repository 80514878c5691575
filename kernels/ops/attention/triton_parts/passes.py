"""The forward and the backward pass: which kernels are launched, on what grid, with which constants."""

import math
from typing import Any

import torch
import triton
from torch import Tensor

from gpt_from_scratch.kernels.ops.attention.triton_parts.backward_kv import attention_backward_kv
from gpt_from_scratch.kernels.ops.attention.triton_parts.backward_q import attention_backward_q
from gpt_from_scratch.kernels.ops.attention.triton_parts.decode import attention_decode, combine_splits
from gpt_from_scratch.kernels.ops.attention.triton_parts.forward import attention_forward
from gpt_from_scratch.kernels.triton_tools import configs
from gpt_from_scratch.kernels.triton_tools.launch import input_precision, launch, multiprocessors, opaque

FEW_QUERIES = 16  # up to so many query rows, the keys are split among programs
LEAST_SPLIT = 128  # keys
COMBINED = 8  # splits at a time


def forward_shapes(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    kv_lengths: Tensor | None,
    starts: Tensor | None,
    ends: Tensor | None,
    sinks: Tensor | None,
    causal: bool,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Empty tensors like `forward`'s."""
    return time_major(q), q.new_empty(q.shape[:3], dtype=torch.float32)


@opaque("attention_forward", forward_shapes)
def forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    kv_lengths: Tensor | None,
    starts: Tensor | None,
    ends: Tensor | None,
    sinks: Tensor | None,
    causal: bool,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """(output, log2 of the sums of exp2 of the scaled scores in units of log2, (b, hq, tq) in fp32).

    `starts` and `ends` are `document_bounds` of the documents, or both None.
    """
    q, k, v = (addressable(x) for x in (q, k, v))
    out, lse = forward_shapes(q, k, v, kv_lengths, starts, ends, sinks, causal, scale)
    options = (causal, scale, window, softcap)
    if q.shape[2] <= FEW_QUERIES:
        decode(q, k, v, kv_lengths, starts, ends, sinks, *options, out, lse)
        return out, lse
    (b, heads, tq, d), tk = q.shape, k.shape[2]
    config = configs.find(q, "attention", "forward", d, tk)
    launch(
        attention_forward,
        (triton.cdiv(tq, config.rows) * b * heads,),
        config,
        *(q, k, v, *(pointer(x, lse) for x in (kv_lengths, starts, ends, sinks)), out, lse),
        *(*q.stride()[:3], *k.stride()[:3], *v.stride()[:3], *out.stride()[:3]),
        *(heads, heads // k.shape[1], tq, tk, window or 0),
        *units(scale, softcap),
        **constants(q, kv_lengths, starts, causal, window, softcap, config),
        **evenness(q, k, config),
        SINKS=sinks is not None,
        RUNNING=needs_running_maximum(q) or not (causal or (starts is None and window is None)),
    )
    return out, lse


def decode(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    kv_lengths: Tensor | None,
    starts: Tensor | None,
    ends: Tensor | None,
    sinks: Tensor | None,
    causal: bool,
    scale: float,
    window: int | None,
    softcap: float | None,
    out: Tensor,
    lse: Tensor,
) -> None:
    """`forward` for few queries, into `out` and `lse`: the keys are split among programs where those are else too few."""
    (b, heads, tq, d), (kv_heads, tk) = q.shape, k.shape[1:3]
    config = configs.find(q, "attention", "decode", d, tk)
    blocks = triton.cdiv(heads // kv_heads * tq, config.rows) * b * kv_heads
    keys = tk
    if window is not None:
        keys = min(tk, (1 if causal else 2) * window + tq + config.columns)  # a tile's, from the start of a block on
    splits = max(1, min(triton.cdiv(keys, LEAST_SPLIT), config.waves * multiprocessors(q) // max(blocks, 1)))
    rows = b * heads * tq
    partial, partial_lse = out, lse
    if splits > 1:
        partial = q.new_empty(splits, b, heads, tq, d, dtype=torch.float32)
        partial_lse = q.new_empty(splits, b, heads, tq, dtype=torch.float32)
    launch(
        attention_decode,
        (blocks, splits),
        config,
        *(q, k, v, *(pointer(x, lse) for x in (kv_lengths, starts, ends, sinks)), partial, partial_lse),
        *(*q.stride()[:3], *k.stride()[:3], *v.stride()[:3], *partial.stride()[-4:-1]),
        *(rows, heads, heads // kv_heads, tq, tk, window or 0, *units(scale, softcap)),
        **constants(q, kv_lengths, starts, causal, window, softcap, config),
        SINKS=sinks is not None,
    )
    if splits > 1:
        launch(
            combine_splits,
            (rows,),
            configs.Config(1, num_warps=1, num_stages=1),
            *(partial, partial_lse, out, lse, *out.stride()[:3], rows, heads, tq, splits),
            D=d,
            BLOCK_D=triton.next_power_of_2(d),
            BLOCK_S=COMBINED,
        )


def backward_shapes(
    do: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    kv_lengths: Tensor | None,
    starts: Tensor | None,
    ends: Tensor | None,
    sinks: Tensor | None,
    out: Tensor,
    lse: Tensor,
    causal: bool,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
    with_q: bool = True,
    with_k: bool = True,
    with_v: bool = True,
    with_sinks: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Empty tensors like `backward`'s."""
    return (
        time_major(q) if with_q else q.new_empty(0),
        time_major(k) if with_k else q.new_empty(0),
        time_major(v) if with_v else q.new_empty(0),
        sinks.new_empty(sinks.shape) if with_sinks and sinks is not None else q.new_empty(0),
    )


@opaque("attention_backward", backward_shapes)
def backward(
    do: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    kv_lengths: Tensor | None,
    starts: Tensor | None,
    ends: Tensor | None,
    sinks: Tensor | None,
    out: Tensor,
    lse: Tensor,
    causal: bool,
    scale: float,
    window: int | None = None,
    softcap: float | None = None,
    with_q: bool = True,
    with_k: bool = True,
    with_v: bool = True,
    with_sinks: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(dq, dk, dv, dsinks), the first three laid out as (b, t, h, d) in memory; what is not wanted is an empty vector."""
    q, k, v, do = (addressable(x) for x in (q, k, v, do))
    (b, heads, tq, d), (kv_heads, tk) = q.shape, k.shape[1:3]
    wanted = (with_q, with_k, with_v, with_sinks)
    dq, dk, dv, dsinks = backward_shapes(
        do, q, k, v, kv_lengths, starts, ends, sinks, out, lse, causal, scale, window, softcap, *wanted
    )
    delta = torch.empty_like(lse)
    scales = (window or 0, *units(scale, softcap), scale)
    inputs = (*q.stride()[:3], *k.stride()[:3], *v.stride()[:3])
    masks = tuple(pointer(x, lse) for x in (kv_lengths, starts, ends))
    lines = "backward" if starts is None and window is None else "bounded"
    if with_q or with_k or with_sinks:  # dk and dsinks need delta, which this kernel makes
        config = configs.find(q, "attention", f"{lines}_q", d, tk)
        launch(
            attention_backward_q,
            (triton.cdiv(tq, config.rows) * b * heads,),
            config,
            *(q, k, v, *masks, out, do, lse, delta, dq),
            *(*inputs, *out.stride()[:3], *do.stride()[:3], *strides(dq), heads, heads // kv_heads, tq, tk, *scales),
            **constants(q, kv_lengths, starts, causal, window, softcap, config),
            **evenness(q, k, config),
            DQ=with_q,
        )
    if with_k or with_v:
        config = configs.find(q, "attention", f"{lines}_kv", d, tq)
        launch(
            attention_backward_kv,
            (triton.cdiv(tk, config.columns) * b * kv_heads,),
            config,
            *(q, k, v, *masks, do, lse, delta, dk, dv),
            *(*inputs, *do.stride()[:3], *strides(dk), *strides(dv), kv_heads, heads // kv_heads, tq, tk, *scales),
            **constants(q, kv_lengths, starts, causal, window, softcap, config),
            **evenness(q, k, config),
            DK=with_k,
            DV=with_v,
        )
    if with_sinks and sinks is not None:  # a sink's value is 0, so that of its score's gradient only delta is left
        p = torch.exp2(sinks.float().view(-1, 1) * math.log2(math.e) - lse)
        dsinks.copy_(-(p * delta).sum((0, 2)))
    return dq, dk, dv, dsinks


def pointer(x: Tensor | None, instead: Tensor) -> Tensor:
    """x, dense, or where there is none another tensor, which the kernel does not read."""
    return instead if x is None else x.contiguous()


def units(scale: float, softcap: float | None) -> tuple[float, float]:
    """The kernels' `scale` and `cap`: scores in units of log2 are products · scale, or tanh(products · scale) · cap."""
    return (scale * math.log2(math.e), 0.0) if softcap is None else (scale / softcap, softcap * math.log2(math.e))


def strides(gradient: Tensor) -> tuple[int, ...]:
    """A gradient's strides of batch, head and row; zeros where it is not wanted, and so an empty vector."""
    return gradient.stride()[:3] if gradient.ndim == 4 else (0, 0, 0)


def constants(
    q: Tensor,
    kv_lengths: Tensor | None,
    starts: Tensor | None,
    causal: bool,
    window: int | None,
    softcap: float | None,
    config: configs.Config,
) -> dict[str, Any]:
    """The constexpr arguments that the kernels share."""
    lead, rest = whole_tile(q.shape[3]) if narrow_tiles_break(q) else tiles(q.shape[3])
    return {
        "D": q.shape[3],
        "LEAD": lead,
        "REST": rest,
        "CAUSAL": causal,
        "LENGTHS": kv_lengths is not None,
        "DOCUMENTS": starts is not None,
        "WINDOW": window is not None,
        "CAP": softcap is not None,
        "PRECISION": input_precision(q),
        "BLOCK_M": config.rows,
        "BLOCK_N": config.columns,
    }


def evenness(q: Tensor, k: Tensor, config: configs.Config) -> dict[str, bool]:
    """The constexpr arguments that say whether the last tiles are full."""
    return {"EVEN_Q": q.shape[2] % config.rows == 0, "EVEN_K": k.shape[2] % config.columns == 0}


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
