"""Padding of the vocabulary, for fast matrix products on a GPU.

cuBLAS is eight times slower with GPT-2's 50,257 rows than with 50,304 (logits in bf16 on an H200: 96 TFLOP/s and 728).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

MANY_ROWS = (
    128  # from about 80 rows on, the copy of GPT-2's head costs less than it saves (estimated from the rates above)
)
ALIGNMENT = 64  # rows: 128 bytes of a row of logits in half precision


def padded_head(weight: Float[Tensor, "v d"], dtype: torch.dtype) -> Float[Tensor, "w d"]:
    """The weight in `dtype`, with rows of zeros up to a multiple of ALIGNMENT; the weight itself if no padding is
    needed.
    """
    vocabulary, width = weight.shape
    missing = -vocabulary % ALIGNMENT
    if not missing:
        return weight.to(dtype)
    head = weight.new_empty(vocabulary + missing, width, dtype=dtype)
    head[:vocabulary] = weight
    head[vocabulary:] = 0
    return head


def logits(
    hidden: Float[Tensor, "*b d"], weight: Float[Tensor, "v d"], softcap: float | None = None
) -> Float[Tensor, "*b v"]:
    """hidden weightᵀ, on a GPU and for many rows by way of a padded weight; then the rows of the result are further apart.

    softcap: bounds them as the op linear_cross_entropy does.
    """
    if hidden.is_cuda and hidden.shape[:-1].numel() >= MANY_ROWS:
        plain = F.linear(hidden, padded_head(weight, hidden.dtype))[..., : len(weight)]
    else:
        plain = F.linear(hidden, weight)
    return plain if softcap is None else capped(plain, softcap)


def capped(logits: Float[Tensor, "*b v"], softcap: float) -> Float[Tensor, "*b v"]:
    """softcap · tanh(logits / softcap), in fp32 inside (Gemma Team 2024)."""
    return (softcap * torch.tanh(logits.to(torch.promote_types(logits.dtype, torch.float32)) / softcap)).to(
        logits.dtype
    )
