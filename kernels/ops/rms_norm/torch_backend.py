"""The torch backend of rms_norm: torch's fused kernel on a GPU, and a custom backward pass on a CPU.

On a CPU torch 2.13 has no kernel for it, and autograd of the formula needs more memory and bandwidth.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.derivatives import first_derivatives_only
from gpt_from_scratch.kernels.ops.rms_norm.reference import rms_norm


@rms_norm.backend("torch")
def rms_norm_torch(
    x: Float[Tensor, "*b d"], weight: Float[Tensor, " d"] | None = None, eps: float = 1e-6
) -> Float[Tensor, "*b d"]:
    """F.rms_norm on a GPU, which wants the weight in x's dtype; else ours.

    Compilers fuse such passes by themselves, so they are given the formula; so are activations below fp32 on a CPU, whose
    intermediate values are wider than they are.
    """
    if x.is_cuda:
        return F.rms_norm(x, x.shape[-1:], None if weight is None else weight.to(x.dtype), eps)
    if x.dtype not in (torch.float32, torch.float64) or torch.compiler.is_compiling():
        return rms_norm.reference(x, weight, eps)
    normed: Tensor = _RMSNorm.apply(x, weight, eps)  # type: ignore[no-untyped-call]
    return normed


class _RMSNorm(torch.autograd.Function):
    """With x̂ = x r, r = 1 / sqrt(mean(x²) + eps) and g = dy [· weight], the gradient is r (g - x̂ mean(g x̂))."""

    @staticmethod
    def forward(
        ctx: Any, x: Float[Tensor, "*b d"], weight: Float[Tensor, " d"] | None, eps: float
    ) -> Float[Tensor, "*b d"]:
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        inverse = length.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        normed: Tensor = x * inverse
        if weight is None:
            ctx.save_for_backward(normed, inverse)
            return normed
        ctx.save_for_backward(normed, inverse, weight, x)  # x carries the graph
        return normed * weight

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, dy: Float[Tensor, "*b d"]) -> tuple[Tensor | None, Tensor | None, None]:
        normed, inverse, *weights = ctx.saved_tensors
        with_input, with_weight, _ = ctx.needs_input_grad
        dx = dweight = None
        if with_weight:
            dweight = (dy * normed).flatten(0, -2).sum(0) if dy.ndim > 1 else dy * normed
            dweight = dweight.to(weights[0].dtype)
        if with_input:
            g = dy * weights[0] if weights else dy
            along = (g * normed).mean(-1, keepdim=True)
            dx = torch.addcmul(g, normed, along, value=-1).mul_(inverse)
        return dx, dweight, None
