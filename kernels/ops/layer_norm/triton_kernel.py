"""The Triton backend of layer_norm."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.derivatives import first_derivatives_only
from gpt_from_scratch.kernels.ops.layer_norm import triton_norm
from gpt_from_scratch.kernels.ops.layer_norm.reference import layer_norm


def limits(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float = 1e-5) -> str | None:
    """Why the kernels cannot take these arguments, or None."""
    return triton_norm.why_not(x)


@layer_norm.backend("triton", toolchain="triton", limits=limits)
def layer_norm_triton(
    x: Float[Tensor, "*b d"], weight: Float[Tensor, " d"], bias: Float[Tensor, " d"] | None, eps: float = 1e-5
) -> Float[Tensor, "*b d"]:
    """One kernel forward; one backward, and a small one that sums the weight's and bias's gradients."""
    y: Tensor = _LayerNorm.apply(x, weight, bias, eps)  # type: ignore[no-untyped-call]
    return y


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Float[Tensor, "*b d"], weight: Float[Tensor, " d"], bias: Float[Tensor, " d"] | None, eps: float
    ) -> Float[Tensor, "*b d"]:
        y, _, mean, rstd = triton_norm.forward(x, None, weight, bias, eps)
        ctx.save_for_backward(x, weight, mean, rstd)
        ctx.bias_dtype = None if bias is None else bias.dtype
        out: Tensor = y
        return out

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, dy: Float[Tensor, "*b d"]) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        return *triton_norm.gradients(dy, None, ctx.saved_tensors, ctx.bias_dtype, ctx.needs_input_grad[:3]), None
