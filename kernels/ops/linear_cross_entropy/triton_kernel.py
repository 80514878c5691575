"""The loss of a language model by our Triton kernel between the library's matrix products."""

from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.kernels.derivatives import first_derivatives_only
from gpt_from_scratch.kernels.ops.linear_cross_entropy.reference import linear_cross_entropy
from gpt_from_scratch.kernels.ops.linear_cross_entropy.scaling import scaled
from gpt_from_scratch.kernels.ops.linear_cross_entropy.triton_loss import losses_and_gradients


def limits(
    hidden: Tensor, weight: Tensor, targets: Tensor, *, ignore_index: int = -100, reduction: str = "mean"
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
) -> Float[Tensor, "..."]:
    """Logits live a chunk at a time. "mean" and "sum" form the gradients in the forward pass; "none" recomputes the logits."""
    rows, labels = hidden.flatten(0, -2) if hidden.ndim > 1 else hidden.unsqueeze(0), targets.flatten()
    rows, labels = rows.contiguous(), labels.contiguous()
    if reduction == "none":
        losses: Tensor = _PerRow.apply(rows, weight, labels, ignore_index)  # type: ignore[no-untyped-call]
        return losses.view(targets.shape)
    if torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad):
        loss: Tensor = _GradientInForward.apply(rows, weight, labels, ignore_index)  # type: ignore[no-untyped-call]
    else:
        loss = losses_and_gradients(rows, weight, labels, None, ignore_index, False, False)[0].sum()
    return loss if reduction == "sum" else loss / (labels != ignore_index).sum().clamp(min=1)


class _GradientInForward(torch.autograd.Function):
    """The summed loss; backward only multiplies the stored gradients by the incoming factor."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Float[Tensor, "n d"],
        weight: Float[Tensor, "v d"],
        labels: Int[Tensor, " n"],
        ignore_index: int,
    ) -> Float[Tensor, ""]:
        wanted = ctx.needs_input_grad[:2]
        losses, grad_hidden, grad_weight = losses_and_gradients(hidden, weight, labels, None, ignore_index, *wanted)
        ctx.save_for_backward(grad_hidden, grad_weight, hidden, weight)  # the last two carry the graph
        loss: Tensor = losses.sum()
        return loss

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, grad: Float[Tensor, ""]) -> tuple[Tensor | None, Tensor | None, None, None]:
        hidden, weight = (
            scaled(gradient, grad) if is_wanted else None
            for gradient, is_wanted in zip(ctx.saved_tensors[:2], ctx.needs_input_grad[:2], strict=True)
        )
        return hidden, weight, None, None


class _PerRow(torch.autograd.Function):
    """One loss a row. The gradients need the incoming factors, so backward makes the logits again."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Float[Tensor, "n d"],
        weight: Float[Tensor, "v d"],
        labels: Int[Tensor, " n"],
        ignore_index: int,
    ) -> Float[Tensor, " n"]:
        ctx.save_for_backward(hidden, weight, labels)
        ctx.ignore_index = ignore_index
        losses: Tensor = losses_and_gradients(hidden, weight, labels, None, ignore_index, False, False)[0]
        return losses

    @staticmethod
    @first_derivatives_only
    def backward(ctx: Any, grad: Float[Tensor, " n"]) -> tuple[Tensor | None, Tensor | None, None, None]:
        wanted = ctx.needs_input_grad[:2]
        _, *grads = losses_and_gradients(*ctx.saved_tensors, grad, ctx.ignore_index, *wanted)
        hidden, weight = (gradient if is_wanted else None for gradient, is_wanted in zip(grads, wanted, strict=True))
        return hidden, weight, None, None
