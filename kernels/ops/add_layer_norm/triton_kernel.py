"""The Triton backend of add_layer_norm: the addition and the norm in one kernel."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.derivatives import first_derivatives_only
from gpt_from_scratch.kernels.ops.add_layer_norm.reference import add_layer_norm
from gpt_from_scratch.kernels.ops.layer_norm import triton_norm


def limits(x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor | None, eps: float = 1e-5) -> str | None:
    """Why the kernels cannot take these arguments, or None."""
    return triton_norm.why_not(x)


@add_layer_norm.backend("triton", toolchain="triton", limits=limits)
def add_layer_norm_triton(
    x: Float[Tensor, "*b d"],
    residual: Float[Tensor, "*b d"],
    weight: Float[Tensor, " d"],
    bias: Float[Tensor, " d"] | None,
    eps: float = 1e-5,
) -> tuple[Float[Tensor, "*b d"], Float[Tensor, "*b d"]]:
    """layer_norm's kernels, which also add: the sum is written once and never read again in the forward pass."""
    normed, total = _AddLayerNorm.apply(x, residual, weight, bias, eps)  # type: ignore[no-untyped-call]
    return normed, total


class _AddLayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "*b d"],
        residual: Float[Tensor, "*b d"],
        weight: Float[Tensor, " d"],
        bias: Float[Tensor, " d"] | None,
        eps: float,
    ) -> tuple[Float[Tensor, "*b d"], Float[Tensor, "*b d"]]:
        normed, total, mean, rstd = triton_norm.forward(x, residual, weight, bias, eps)
        ctx.save_for_backward(total, weight, mean, rstd)
        ctx.bias_dtype = None if bias is None else bias.dtype
        ctx.set_materialize_grads(False)  # the last norm's sum is not used: no zeros are made and read for it
        return normed, total

    @staticmethod
    @first_derivatives_only
    def backward(
        ctx: Any, dnormed: Float[Tensor, "*b d"] | None, dtotal: Float[Tensor, "*b d"] | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None, None]:
        if dnormed is None:  # only the sum was used
            return dtotal, dtotal, None, None, None
        x, residual, weight, bias, _ = ctx.needs_input_grad
        wanted = (x or residual, weight, bias)
        dx, dweight, dbias = triton_norm.gradients(dnormed, dtotal, ctx.saved_tensors, ctx.bias_dtype, wanted)
        return dx if x else None, dx if residual else None, dweight, dbias, None
