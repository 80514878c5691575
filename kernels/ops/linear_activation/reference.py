"""Reference of linear_activation: a linear layer with an activation."""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels import argument_checks as checks
from gpt_from_scratch.kernels.backends import Preference
from gpt_from_scratch.kernels.ops.linear_activation.cases import linear_activation_cases, linear_activation_scale
from gpt_from_scratch.kernels.registry import op

ACTIVATIONS = ("gelu", "relu2")


def check_linear_activation(x: Tensor, weight: Tensor, bias: Tensor | None, activation: str = "gelu") -> None:
    """Raise ValueError or TypeError on arguments outside the op's contract."""
    fits = weight.ndim == 2 and x.ndim > 0 and x.shape[-1] == weight.shape[1]
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        shape = None if bias is None else tuple(bias.shape)
        raise ValueError(
            "linear_activation: expected x (..., d), weight (f, d) and bias (f), "
            f"got {tuple(x.shape)}, {tuple(weight.shape)}, {shape}"
        )
    if activation not in ACTIVATIONS:
        raise ValueError(f"linear_activation: activation must be 'gelu' or 'relu2', not {activation!r}")
    checks.same_dtype("linear_activation", x=x)
    checks.parameter_dtype("linear_activation", x.dtype, weight=weight, bias=bias)
    checks.same_device("linear_activation", x=x, weight=weight, bias=bias)


# On a CPU "torch" is the quickest (benchmarks/LOG.md).
@op(
    cases=linear_activation_cases,
    scale=linear_activation_scale,
    check=check_linear_activation,
    preference=Preference({"cpu": ("torch",)}),
)
def linear_activation(
    x: Float[Tensor, "*b d"],
    weight: Float[Tensor, "f d"],
    bias: Float[Tensor, " f"] | None,
    activation: Literal["gelu", "relu2"] = "gelu",
) -> Float[Tensor, "*b f"]:
    """activation(x weightᵀ + bias), with GELU by tanh (Hendrycks and Gimpel 2016) or max(·, 0)² (So et al. 2021).

    The weight is cast to x's dtype; sums and activation are in at least fp32, the result is in x's dtype.
    """
    wide = torch.promote_types(x.dtype, torch.float32)
    hidden = F.linear(x.to(wide), weight.to(x.dtype).to(wide))
    if bias is not None:
        hidden = hidden + bias.to(wide)
    activated = F.gelu(hidden, approximate="tanh") if activation == "gelu" else F.relu(hidden).square()
    return activated.to(x.dtype)
