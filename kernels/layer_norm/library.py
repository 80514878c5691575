"""Layer normalisation by torch's own kernel."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.layer_norm.reference import layer_norm


@layer_norm.backend("torch")
def layer_norm_torch(
    x: Float[Tensor, "*b d"], weight: Float[Tensor, " d"], bias: Float[Tensor, " d"] | None, eps: float = 1e-5
) -> Float[Tensor, "*b d"]:
    """F.layer_norm, which wants weight and bias in one dtype, and on CUDA in x's."""
    if x.is_cuda or (bias is not None and bias.dtype != weight.dtype):
        weight, bias = weight.to(x.dtype), None if bias is None else bias.to(x.dtype)
    return F.layer_norm(x, weight.shape, weight, bias, eps)
