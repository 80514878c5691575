"""Attention, written out."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.kernels import argument_checks as checks
from gpt_from_scratch.kernels.ops.attention.cases import attention_cases, attention_scale
from gpt_from_scratch.kernels.ops.attention.masking import visible_keys
from gpt_from_scratch.kernels.registry import op


def check_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = True,
    scale: float | None = None,
    kv_lengths: Tensor | None = None,
) -> None:
    """Raise ValueError or TypeError on arguments outside the op's contract."""
    if q.ndim != 4 or k.ndim != 4 or k.shape != v.shape or q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3]:
        raise ValueError(
            "attention: expected q (b, hq, tq, d) and k, v (b, hkv, tk, d), "
            f"got {tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)}"
        )
    if k.shape[1] == 0 or q.shape[1] % k.shape[1]:
        raise ValueError(f"attention: the {k.shape[1]} key-value heads must divide the {q.shape[1]} query heads")
    checks.same_dtype("attention", q=q, k=k, v=v)
    checks.same_device("attention", q=q, k=k, v=v, kv_lengths=kv_lengths)
    if kv_lengths is not None and (
        kv_lengths.shape != q.shape[:1] or kv_lengths.dtype not in (torch.int32, torch.int64)
    ):
        raise ValueError(
            f"attention: kv_lengths must be {q.shape[0]} integers, one a row of the batch, "
            f"got {tuple(kv_lengths.shape)} of {kv_lengths.dtype}"
        )


@op(cases=attention_cases, scale=attention_scale, check=check_attention)
def attention(
    q: Float[Tensor, "b hq tq d"],
    k: Float[Tensor, "b hkv tk d"],
    v: Float[Tensor, "b hkv tk d"],
    *,
    causal: bool = True,
    scale: float | None = None,
    kv_lengths: Int[Tensor, " b"] | None = None,
) -> Float[Tensor, "b hq tq d"]:
    """softmax(q kᵀ · scale) v, over the keys that each query may see.

    `scale` defaults to 1/√d. Only the first `kv_lengths[b]` keys of row b are valid (all, if None). `causal` is aligned to
    the END of the valid keys: query i sees key j if j <= i + (length - tq), so that one query after a cache of tk keys
    sees them all. A query that sees no key gives 0. Each key-value head serves hq / hkv query heads in a row (grouped
    queries, Ainslie et al. 2023). No dropout. Computed in at least fp32, returned in q's dtype.
    """
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    group = q.shape[1] // k.shape[1]
    wide = torch.promote_types(q.dtype, torch.float32)
    keys, values = (x.to(wide).repeat_interleave(group, dim=1) for x in (k, v))
    scores = q.to(wide) @ keys.transpose(-2, -1) * scale
    visible = visible_keys(q.shape[-2], k.shape[-2], causal, kv_lengths, q.device)
    if visible is None:
        return (torch.softmax(scores, dim=-1) @ values).to(q.dtype)
    scores = scores.masked_fill(~visible, torch.finfo(wide).min)  # not -inf: a row without keys must stay finite
    weights = torch.softmax(scores, dim=-1).masked_fill(~visible, 0)
    return (weights @ values).to(q.dtype)
