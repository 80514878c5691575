"""The torch backend of add_layer_norm."""

from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.ops.add_layer_norm.reference import add_layer_norm
from gpt_from_scratch.kernels.ops.layer_norm.torch_backend import layer_norm_torch


@add_layer_norm.backend("torch")
def add_layer_norm_torch(
    x: Float[Tensor, "*b d"],
    residual: Float[Tensor, "*b d"],
    weight: Float[Tensor, " d"],
    bias: Float[Tensor, " d"] | None,
    eps: float = 1e-5,
) -> tuple[Float[Tensor, "*b d"], Float[Tensor, "*b d"]]:
    """torch has no fused form of this: an addition, then F.layer_norm."""
    total = x + residual
    return layer_norm_torch(total, weight, bias, eps), total
