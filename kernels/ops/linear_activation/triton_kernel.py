"""The Triton backend of linear_activation: torch's product, and our kernels for bias and activation."""

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.derivatives import first_derivatives_only
from gpt_from_scratch.kernels.ops.linear_activation import triton_activation
from gpt_from_scratch.kernels.ops.linear_activation.reference import linear_activation
from gpt_from_scratch.kernels.ops.linear_activation.torch_backend import product


def limits(x: Tensor, weight: Tensor, bias: Tensor | None, activation: str = "gelu") -> str | None:
    """Why the kernels cannot take these arguments, or None."""
    return triton_activation.why_not(x)


@linear_activation.backend("triton", toolchain="triton", limits=limits)
def linear_activation_triton(
    x: Float[Tensor, "*b d"],
    weight: Float[Tensor, "f d"],
    bias: Float[Tensor, " f"] | None,
    activation: Literal["gelu", "relu2"] = "gelu",
) -> Float[Tensor, "*b f"]:
    """The backward pass adds up the bias's gradient while it writes the product's."""
    y: Tensor = _BiasActivation.apply(product(x, weight, None), bias, activation == "gelu")  # type: ignore[no-untyped-call]
    return y


class _BiasActivation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, product: Float[Tensor, "*b f"], bias: Float[Tensor, " f"] | None, gelu: bool
    ) -> Float[Tensor, "*b f"]:
        ctx.save_for_backward(product, bias)
        ctx.gelu = gelu
        y: Tensor = triton_activation.forward(product, bias, gelu)
        return y

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, dy: Float[Tensor, "*b f"]) -> tuple[Tensor | None, Tensor | None, None]:
        wanted = ctx.needs_input_grad[:2]
        found = triton_activation.backward(dy, *ctx.saved_tensors, ctx.gelu, *wanted)
        dproduct, dbias = (gradient if is_wanted else None for gradient, is_wanted in zip(found, wanted, strict=True))
        return dproduct, dbias, None
