"""Reference of rms_norm: root-mean-square normalisation."""

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels import argument_checks as checks
from gpt_from_scratch.kernels.backends import Preference
from gpt_from_scratch.kernels.ops.rms_norm.cases import rms_norm_cases, rms_norm_scale
from gpt_from_scratch.kernels.registry import op


def check_rms_norm(x: Tensor, weight: Tensor | None = None, eps: float = 1e-6) -> None:
    """Raise ValueError or TypeError on arguments outside the op's contract."""
    if x.ndim == 0 or (weight is not None and weight.shape != x.shape[-1:]):
        shape = None if weight is None else tuple(weight.shape)
        raise ValueError(f"rms_norm: weight must have x's last dimension; x is {tuple(x.shape)}, it is {shape}")
    checks.same_dtype("rms_norm", x=x)
    checks.parameter_dtype("rms_norm", x.dtype, weight=weight)
    checks.same_device("rms_norm", x=x, weight=weight)


# On a CPU "torch" is the quickest (benchmarks/LOG.md).
@op(
    cases=rms_norm_cases,
    scale=rms_norm_scale,
    check=check_rms_norm,
    preference=Preference({"cpu": ("torch",)}),
)
def rms_norm(
    x: Float[Tensor, "*b d"], weight: Float[Tensor, " d"] | None = None, eps: float = 1e-6
) -> Float[Tensor, "*b d"]:
    """x / sqrt(mean(x²) + eps) · weight, over the last dimension (Zhang and Sennrich 2019).

    The statistic is in at least fp32, the result is rounded once, to x's dtype; the weight is fp32 or x's dtype, and None
    multiplies by nothing.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    return (normed if weight is None else normed * weight).to(x.dtype)
