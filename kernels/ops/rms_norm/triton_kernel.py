"""The Triton backend of rms_norm."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.derivatives import first_derivatives_only
from gpt_from_scratch.kernels.ops.rms_norm import triton_rms
from gpt_from_scratch.kernels.ops.rms_norm.reference import rms_norm


def limits(x: Tensor, weight: Tensor | None = None, eps: float = 1e-6) -> str | None:
    """Why the kernels cannot take these arguments, or None."""
    return triton_rms.why_not(x)


@rms_norm.backend("triton", toolchain="triton", limits=limits)
def rms_norm_triton(
    x: Float[Tensor, "*b d"], weight: Float[Tensor, " d"] | None = None, eps: float = 1e-6
) -> Float[Tensor, "*b d"]:
    """One kernel a pass, and a small one that sums the weight's gradient."""
    y: Tensor = _RMSNorm.apply(x, weight, eps)  # type: ignore[no-untyped-call]
    return y


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Float[Tensor, "*b d"], weight: Float[Tensor, " d"] | None, eps: float
    ) -> Float[Tensor, "*b d"]:
        ctx.save_for_backward(x, weight)
        ctx.eps = eps
        y: Tensor = triton_rms.forward(x, weight, eps)
        return y

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, dy: Float[Tensor, "*b d"]) -> tuple[Tensor | None, Tensor | None, None]:
        wanted = ctx.needs_input_grad[:2]
        found = triton_rms.backward(dy, *ctx.saved_tensors, ctx.eps, *wanted)
        dx, dweight = (gradient if is_wanted else None for gradient, is_wanted in zip(found, wanted, strict=True))
        return dx, dweight, None
