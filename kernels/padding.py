"""A vocabulary whose length a GPU's matrix products like.

cuBLAS multiplies by GPT-2's 50,257 rows at an eighth of the rate of 50,304 (logits in bf16 on an H200: 96 TFLOP/s and 728).
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

MANY_ROWS = 128  # from about 80 on, the copy of GPT-2's head costs less than it saves (reckoned from the rates above)
ALIGNMENT = 64  # rows: 128 bytes of a row of logits in half precision


def padded_head(weight: Float[Tensor, "v d"], dtype: torch.dtype) -> Float[Tensor, "w d"]:
    """The weight in `dtype`, with rows of zeros up to a multiple of ALIGNMENT; the weight itself where that changes nothing."""
    vocabulary, width = weight.shape
    missing = -vocabulary % ALIGNMENT
    if not missing:
        return weight.to(dtype)
    head = weight.new_empty(vocabulary + missing, width, dtype=dtype)
    head[:vocabulary] = weight
    head[vocabulary:] = 0
    return head


def logits(hidden: Float[Tensor, "*b d"], weight: Float[Tensor, "v d"]) -> Float[Tensor, "*b v"]:
    """hidden weightᵀ, on a GPU and for many rows by way of a padded weight; then the rows of the result are further apart."""
    if hidden.is_cuda and hidden.shape[:-1].numel() >= MANY_ROWS:
        return F.linear(hidden, padded_head(weight, hidden.dtype))[..., : len(weight)]
    return F.linear(hidden, weight)
