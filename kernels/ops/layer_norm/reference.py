"""Reference of layer_norm: layer normalisation."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels import argument_checks as checks
from gpt_from_scratch.kernels.backends import Place, Preference
from gpt_from_scratch.kernels.launch_config import parse_measured
from gpt_from_scratch.kernels.ops.layer_norm.cases import layer_norm_cases, layer_norm_scale
from gpt_from_scratch.kernels.ops.layer_norm.configurations import MEASURED
from gpt_from_scratch.kernels.registry import op


def check_layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float = 1e-5) -> None:
    """Raise ValueError or TypeError on arguments outside the op's contract."""
    if x.ndim == 0 or weight.shape != x.shape[-1:] or (bias is not None and bias.shape != x.shape[-1:]):
        shapes = ", ".join(str(tuple(t.shape)) for t in (weight, bias) if t is not None)
        raise ValueError(
            f"layer_norm: weight and bias must have x's last dimension; x is {tuple(x.shape)}, they are {shapes}"
        )
    checks.same_dtype("layer_norm", x=x)
    checks.parameter_dtype("layer_norm", x.dtype, weight=weight, bias=bias)
    checks.same_device("layer_norm", x=x, weight=weight, bias=bias)


def layer_norm_place(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float = 1e-5) -> Place:
    """The width and the number of rows, by which a call was measured."""
    return Place(x.dtype, x.shape[-1], math.prod(x.shape[:-1]))


@op(
    cases=layer_norm_cases,
    scale=layer_norm_scale,
    check=check_layer_norm,
    preference=Preference(measured=parse_measured(MEASURED, "layer_norm"), place=layer_norm_place),
)
def layer_norm(
    x: Float[Tensor, "*b d"], weight: Float[Tensor, " d"], bias: Float[Tensor, " d"] | None, eps: float = 1e-5
) -> Float[Tensor, "*b d"]:
    """(x - mean) / sqrt(variance + eps) · weight + bias, over the last dimension (Ba et al. 2016).

    The variance is the biased one. Statistics in at least fp32, returned in x's dtype; weight and bias are fp32 or x's
    dtype, and `bias` None adds nothing.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    mean = wide.mean(-1, keepdim=True)
    variance = (wide - mean).square().mean(-1, keepdim=True)
    normed = (wide - mean) * torch.rsqrt(variance + eps) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)
