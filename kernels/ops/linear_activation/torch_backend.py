"""The torch backend of linear_activation, with a custom backward pass for max(·, 0)² on a CPU."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.derivatives import first_derivatives_only
from gpt_from_scratch.kernels.ops.linear_activation.reference import linear_activation


@linear_activation.backend("torch")
def linear_activation_torch(
    x: Float[Tensor, "*b d"],
    weight: Float[Tensor, "f d"],
    bias: Float[Tensor, " f"] | None,
    activation: Literal["gelu", "relu2"] = "gelu",
) -> Float[Tensor, "*b f"]:
    """The product in x's dtype, then the activation."""
    return activated(product(x, weight, bias), activation)


def product(
    x: Float[Tensor, "*b d"], weight: Float[Tensor, "f d"], bias: Float[Tensor, " f"] | None
) -> Float[Tensor, "*b f"]:
    """F.linear in x's dtype. Autocast casts the parameters, since it keeps them for the next call in the same region."""
    if weight.dtype == x.dtype and (bias is None or bias.dtype == x.dtype):
        return F.linear(x, weight, bias)
    if x.dtype == torch.float64:
        return F.linear(x, weight.double(), None if bias is None else bias.double())
    with torch.autocast(x.device.type, x.dtype):
        return F.linear(x, weight, bias)


def activated(x: Float[Tensor, "*b"], activation: str) -> Float[Tensor, "*b"]:
    """GELU by tanh, or max(x, 0)².

    Compilers fuse the latter by themselves, so they are given the formula; so are activations below fp32, whose intermediate
    values are wider than they are.
    """
    if activation == "gelu":
        return F.gelu(x, approximate="tanh")
    if x.is_cuda or x.dtype not in (torch.float32, torch.float64) or torch.compiler.is_compiling():
        return F.relu(x).square()
    squared: Tensor = _ReluSquared.apply(x)  # type: ignore[no-untyped-call]
    return squared


class _ReluSquared(torch.autograd.Function):
    """Autograd's own keeps more and passes more often over memory."""

    @staticmethod
    def forward(ctx: Any, x: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        positive = x.clamp(min=0)
        squared = positive * positive
        ctx.save_for_backward(positive, squared)  # the latter carries the graph; the product after it keeps it anyway
        return squared

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, grad: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
        positive, _ = ctx.saved_tensors
        out: Tensor = (grad * positive).mul_(2)
        return out
