"""Reference of add_layer_norm: a residual addition and the layer norm after it."""

from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels import argument_checks as checks
from gpt_from_scratch.kernels.backends import Place, Preference
from gpt_from_scratch.kernels.launch_config import parse_measured
from gpt_from_scratch.kernels.ops.add_layer_norm.cases import add_layer_norm_cases, add_layer_norm_scale
from gpt_from_scratch.kernels.ops.add_layer_norm.configurations import MEASURED
from gpt_from_scratch.kernels.ops.layer_norm.reference import check_layer_norm, layer_norm, layer_norm_place
from gpt_from_scratch.kernels.registry import op


def check_add_layer_norm(x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor | None, eps: float = 1e-5) -> None:
    """Raise ValueError or TypeError on arguments outside the op's contract."""
    if x.shape != residual.shape:
        raise ValueError(
            f"add_layer_norm: x and residual must have one shape, got {tuple(x.shape)} and {tuple(residual.shape)}"
        )
    checks.same_dtype("add_layer_norm", x=x, residual=residual)
    checks.same_device("add_layer_norm", x=x, residual=residual)
    check_layer_norm(x, weight, bias, eps)


def add_layer_norm_place(x: Tensor, residual: Tensor, weight: Tensor, bias: Tensor | None, eps: float = 1e-5) -> Place:
    """The width and the number of rows, by which a call was measured."""
    return layer_norm_place(x, weight, bias, eps)


@op(
    cases=add_layer_norm_cases,
    scale=add_layer_norm_scale,
    check=check_add_layer_norm,
    preference=Preference(measured=parse_measured(MEASURED, "add_layer_norm"), place=add_layer_norm_place),
)
def add_layer_norm(
    x: Float[Tensor, "*b d"],
    residual: Float[Tensor, "*b d"],
    weight: Float[Tensor, " d"],
    bias: Float[Tensor, " d"] | None,
    eps: float = 1e-5,
) -> tuple[Float[Tensor, "*b d"], Float[Tensor, "*b d"]]:
    """(layer_norm(sum), sum) with sum = x + residual in x's dtype: one pass over memory where a kernel fuses them."""
    total = x + residual
    return layer_norm.reference(total, weight, bias, eps), total
