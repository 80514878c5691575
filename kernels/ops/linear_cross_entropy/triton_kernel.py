"""The Triton backend of linear_cross_entropy: our kernel between torch's matrix products."""

from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.kernels.derivatives import first_derivatives_only
from gpt_from_scratch.kernels.ops.linear_cross_entropy.reference import linear_cross_entropy, reduced
from gpt_from_scratch.kernels.ops.linear_cross_entropy.scaling import scaled
from gpt_from_scratch.kernels.ops.linear_cross_entropy.triton_loss import losses_and_gradients


def limits(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    token_weights: Tensor | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
) -> str | None:
    """Why the kernel cannot take these arguments, or None."""
    return "torch.float64 (the kernel computes in fp32)" if hidden.dtype == torch.float64 else None


@linear_cross_entropy.backend("triton", toolchain="triton", limits=limits)
def linear_cross_entropy_triton(
    hidden: Float[Tensor, "*b d"],
    weight: Float[Tensor, "v d"],
    targets: Int[Tensor, "*b"],
    *,
    ignore_index: int = -100,
    reduction: Literal["mean", "sum", "none"] = "mean",
    token_weights: Float[Tensor, "*b"] | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
) -> Float[Tensor, "..."]:
    """Compute logits in chunks. "mean" and "sum" compute gradients in the forward pass; "none" recomputes the logits."""
    rows, labels = hidden.flatten(0, -2) if hidden.ndim > 1 else hidden.unsqueeze(0), targets.flatten()
    rows, labels = rows.contiguous(), labels.contiguous()
    options = (ignore_index, label_smoothing, z_loss, softcap)
    factors = None if token_weights is None else token_weights.flatten().float()
    if reduction == "none":
        loss: Tensor = _PerRow.apply(rows, weight, labels, *options)  # type: ignore[no-untyped-call]
        loss = loss if factors is None else loss * factors
    elif torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in (hidden, weight, token_weights)):
        loss = _GradientInForward.apply(rows, weight, labels, factors, *options)  # type: ignore[no-untyped-call]
    else:
        losses = losses_and_gradients(rows, weight, labels, None, *options, False, False)[0]
        loss = losses.sum() if factors is None else losses @ factors
    return reduced(loss, labels, factors, targets, ignore_index, reduction)


class _GradientInForward(torch.autograd.Function):
    """Summed loss. Backward only multiplies the stored gradients by the incoming factor."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Float[Tensor, "n d"],
        weight: Float[Tensor, "v d"],
        labels: Int[Tensor, " n"],
        factors: Float[Tensor, " n"] | None,
        *options: int | float | None,
    ) -> Float[Tensor, ""]:
        wanted = ctx.needs_input_grad[:2]
        losses, grad_hidden, grad_weight = losses_and_gradients(hidden, weight, labels, factors, *options, *wanted)
        each = None if factors is None else losses
        ctx.save_for_backward(grad_hidden, grad_weight, each, hidden, weight, factors)  # the last three carry the graph
        loss: Tensor = losses.sum() if factors is None else losses @ factors
        return loss

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, grad: Float[Tensor, ""]) -> tuple[Tensor | None, ...]:
        wanted = (*ctx.needs_input_grad[:2], ctx.needs_input_grad[3])
        hidden, weight, factors = (
            scaled(gradient, grad) if is_wanted else None
            for gradient, is_wanted in zip(ctx.saved_tensors[:3], wanted, strict=True)
        )
        return hidden, weight, None, factors, None, None, None, None


class _PerRow(torch.autograd.Function):
    """One loss per row. The gradients need the incoming factors, so backward recomputes the logits."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Float[Tensor, "n d"],
        weight: Float[Tensor, "v d"],
        labels: Int[Tensor, " n"],
        *options: int | float | None,
    ) -> Float[Tensor, " n"]:
        ctx.save_for_backward(hidden, weight, labels)
        ctx.options = options
        losses: Tensor = losses_and_gradients(hidden, weight, labels, None, *options, False, False)[0]
        return losses

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, grad: Float[Tensor, " n"]) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad[:2]
        _, *grads = losses_and_gradients(*ctx.saved_tensors, grad, *ctx.options, *wanted)
        hidden, weight = (gradient if is_wanted else None for gradient, is_wanted in zip(grads, wanted, strict=True))
        return hidden, weight, None, None, None, None, None
