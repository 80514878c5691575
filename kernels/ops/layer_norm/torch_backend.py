"""The torch backend of layer_norm."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.ops.layer_norm.reference import layer_norm


@layer_norm.backend("torch")
def layer_norm_torch(
    x: Float[Tensor, "*b d"], weight: Float[Tensor, " d"], bias: Float[Tensor, " d"] | None, eps: float = 1e-5
) -> Float[Tensor, "*b d"]:
    """F.layer_norm, which wants weight and bias in one dtype, and on CUDA in x's.

    On a CPU it adds the weight's and bias's gradients over the rows in x's dtype, so where these are wanted x is widened.
    """
    learns = torch.is_grad_enabled() and (weight.requires_grad or (bias is not None and bias.requires_grad))
    if x.device.type == "cpu" and x.dtype in (torch.bfloat16, torch.float16) and learns:
        shift = None if bias is None else bias.float()
        return F.layer_norm(x.float(), weight.shape, weight.float(), shift, eps).to(x.dtype)
    if x.is_cuda or (bias is not None and bias.dtype != weight.dtype):
        weight, bias = weight.to(x.dtype), None if bias is None else bias.to(x.dtype)
    return F.layer_norm(x, weight.shape, weight, bias, eps)
