"""The torch backend of attention: scaled_dot_product_attention."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.kernels.ops.attention.masking import visible_keys
from gpt_from_scratch.kernels.ops.attention.reference import attention


@attention.backend("torch")
def attention_torch(
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
    """SDPA; its `is_causal` is aligned to the start, so it serves only tq == tk, and a single query needs no mask.

    Documents and windows become a mask, with which SDPA skips no blocks. Caps and sinks use the reference.
    """
    tq, tk, grouped = q.shape[-2], k.shape[-2], q.shape[1] != k.shape[1]
    if q.numel() == 0 or tk == 0 or softcap is not None or sinks is not None:  # SDPA's kernels differ on empty inputs
        return attention.reference(
            q,
            k,
            v,
            causal=causal,
            scale=scale,
            kv_lengths=kv_lengths,
            documents=documents,
            window=window,
            softcap=softcap,
            sinks=sinks,
        )
    if window is not None and kv_lengths is None and window >= max(tq, tk):
        window = None  # it reaches all
    unmasked = kv_lengths is None and documents is None and window is None
    if unmasked and (not causal or tq == tk or tq == 1):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal and tq > 1, scale=scale, enable_gqa=grouped)
    visible = visible_keys(tq, tk, causal, kv_lengths, documents, window, q.device)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=visible, scale=scale, enable_gqa=grouped)
    if kv_lengths is None and tq <= tk:  # every query sees a key
        return out
    assert visible is not None
    return out.masked_fill(~visible.any(-1, keepdim=True), 0)
