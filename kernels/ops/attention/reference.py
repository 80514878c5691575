"""Reference of attention: scaled dot-product attention with masks."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.kernels.backends import Preference
from gpt_from_scratch.kernels.launch_config import parse_measured
from gpt_from_scratch.kernels.ops.attention.arguments import attention_place, check_attention
from gpt_from_scratch.kernels.ops.attention.cases import attention_cases
from gpt_from_scratch.kernels.ops.attention.configurations import MEASURED
from gpt_from_scratch.kernels.ops.attention.masking import visible_keys
from gpt_from_scratch.kernels.ops.attention.scales import attention_scale
from gpt_from_scratch.kernels.registry import op


@op(
    cases=attention_cases,
    scale=attention_scale,
    check=check_attention,
    preference=Preference(measured=parse_measured(MEASURED, "attention"), place=attention_place),
)
def attention(
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
    """softmax(q kᵀ · scale) v, over the keys that each query may see.

    `scale` defaults to 1/√d. Only the first `kv_lengths[b]` keys of row b are valid (all, if None). Query i stands at
    position i + length - tq, so that one query after a cache of tk keys stands at the last. `causal`: it sees no key after
    its position. `window`: it sees the keys less than `window` positions away, itself counted. `documents`: it sees the keys
    of its own document alone. That is the run of neighbouring keys with the id of its position's key
    (`document_ids` makes ids of offsets). A query that sees no key gives 0.

    `softcap` bounds the scores: softcap · tanh(score / softcap) (Gemma Team 2024). `sinks` has a learned score a query head
    for a key with value 0, which takes part in every softmax (Agarwal et al. 2025, gpt-oss); it is neither scaled nor capped.

    Each key-value head serves hq / hkv query heads in a row (grouped queries, Ainslie et al. 2023). No dropout. Computed in
    at least fp32, returned in q's dtype.
    """
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    group = q.shape[1] // k.shape[1]
    wide = torch.promote_types(q.dtype, torch.float32)
    keys, values = (x.to(wide).repeat_interleave(group, dim=1) for x in (k, v))
    scores = q.to(wide) @ keys.transpose(-2, -1) * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    visible = visible_keys(q.shape[-2], k.shape[-2], causal, kv_lengths, documents, window, q.device)
    if visible is not None:  # not -inf: a row without keys must stay finite
        scores = scores.masked_fill(~visible, torch.finfo(wide).min)
    if sinks is not None:
        column = sinks.to(wide).view(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        weights = torch.softmax(torch.cat([scores, column], dim=-1), dim=-1)[..., :-1]
    else:
        weights = torch.softmax(scores, dim=-1)
    if visible is not None:
        weights = weights.masked_fill(~visible, 0)
    return (weights @ values).to(q.dtype)
