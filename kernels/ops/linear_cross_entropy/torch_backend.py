"""The loss by the library's matrix products, chunk by chunk, with the gradients formed in the forward pass."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.kernels.cpu_speed import large_empty
from gpt_from_scratch.kernels.derivatives import first_derivatives_only
from gpt_from_scratch.kernels.ops.linear_cross_entropy.reference import CHUNK_LOGITS, linear_cross_entropy
from gpt_from_scratch.kernels.ops.linear_cross_entropy.scaling import scaled
from gpt_from_scratch.kernels.padding import padded_head

FEW_LOGITS = 2**16  # so few are quicker kept whole than written over: what a chunk costs in calls then shows


@linear_cross_entropy.backend("torch")
def linear_cross_entropy_torch(
    hidden: Float[Tensor, "*b d"],
    weight: Float[Tensor, "v d"],
    targets: Int[Tensor, "*b"],
    *,
    ignore_index: int = -100,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Float[Tensor, "..."]:
    """Each chunk's logits live once: its gradient is written while they are at hand (as Liger and llm.c do).

    Only for "mean" and "sum", whose gradient is known up to a factor; "none" with gradients is the reference.
    """
    rows, labels = hidden.flatten(0, -2), targets.flatten()
    if reduction != "none" and labels.device.type == "cpu" and not torch.compiler.is_compiling():
        counted = (labels != ignore_index).nonzero().squeeze(1)  # a GPU would have to be waited for
        if len(counted) < len(labels):  # what does not count need not be computed: of `tiny`'s rows a fifth is padding
            rows, labels = rows.index_select(0, counted), labels[counted]
    needs_grad = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    if not needs_grad or len(rows) * weight.shape[0] <= FEW_LOGITS:
        loss = _by_cross_entropy(rows, weight, labels, ignore_index, "none" if reduction == "none" else "sum")
    elif reduction == "none":
        return linear_cross_entropy.reference(hidden, weight, targets, ignore_index=ignore_index, reduction=reduction)
    else:
        loss = _GradientInForward.apply(rows, weight, labels, ignore_index)  # type: ignore[no-untyped-call]
    if reduction == "none":
        return loss.view(targets.shape)
    return loss if reduction == "sum" else loss / (labels != ignore_index).sum().clamp(min=1)


def _by_cross_entropy(
    hidden: Float[Tensor, "n d"],
    weight: Float[Tensor, "v d"],
    labels: Int[Tensor, " n"],
    ignore_index: int,
    reduction: Literal["sum", "none"],
) -> Float[Tensor, "..."]:
    head, wide = _head(weight, hidden.dtype), torch.promote_types(hidden.dtype, torch.float32)
    chunk = max(1, CHUNK_LOGITS // weight.shape[0])
    parts = [
        F.cross_entropy(F.linear(h, head)[:, : len(weight)].to(wide), t, ignore_index=ignore_index, reduction=reduction)
        for h, t in zip(hidden.split(chunk), labels.split(chunk), strict=True)
    ]
    if len(parts) == 1:
        return parts[0]
    return torch.cat(parts) if reduction == "none" else torch.stack(parts).sum()


def _head(weight: Float[Tensor, "v d"], dtype: torch.dtype) -> Float[Tensor, "w d"]:
    return padded_head(weight, dtype) if weight.is_cuda else weight.to(dtype)


class _GradientInForward(torch.autograd.Function):
    """The summed loss; backward only multiplies the gradients that forward formed by the incoming factor."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Float[Tensor, "n d"],
        weight: Float[Tensor, "v d"],
        labels: Int[Tensor, " n"],
        ignore_index: int,
    ) -> Float[Tensor, ""]:
        loss, *ctx.formed = _loss_and_gradients(hidden, weight, labels, ignore_index, *ctx.needs_input_grad[:2])
        ctx.ignore_index = ignore_index
        ctx.save_for_backward(hidden, weight, labels)
        return loss

    @staticmethod
    @first_derivatives_only  # the formed gradients are constants to autograd
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        formed, ctx.formed = ctx.formed, None
        if formed is None:  # the first pass through a graph that is kept has given its gradients away
            hidden, weight, labels = ctx.saved_tensors
            _, *formed = _loss_and_gradients(hidden, weight, labels, ctx.ignore_index, *ctx.needs_input_grad[:2])
        (factor,) = grads
        grad_hidden, grad_weight = (
            None if g is None else g.mul_(factor) if g.dtype == factor.dtype else scaled(g, factor) for g in formed
        )
        return grad_hidden, grad_weight, None, None


def _loss_and_gradients(
    hidden: Float[Tensor, "n d"],
    weight: Float[Tensor, "v d"],
    labels: Int[Tensor, " n"],
    ignore_index: int,
    with_hidden: bool,
    with_weight: bool,
) -> tuple[Float[Tensor, ""], Float[Tensor, "n d"] | None, Float[Tensor, "v d"] | None]:
    """The sum of the losses, and its gradients by hidden and weight, None where they are not wanted."""
    wide = torch.promote_types(hidden.dtype, torch.float32)
    head = _head(weight, hidden.dtype)
    loss = hidden.new_zeros((), dtype=wide)
    grad_hidden = torch.empty_like(hidden, memory_format=torch.contiguous_format) if with_hidden else None
    # A bf16 accumulator diverges (Liger-Kernel#512).
    grad_weight = large_empty(head.shape, wide, weight.device) if with_weight else None
    chunk = min(len(hidden), max(1, CHUNK_LOGITS // len(head)))
    memory = large_empty((chunk, len(head)), hidden.dtype, hidden.device)
    for start in range(0, len(hidden), chunk):
        h, t = hidden[start : start + chunk], labels[start : start + chunk]
        logits = torch.mm(h, head.T, out=memory[: len(t)]).to(wide)
        logits[:, len(weight) :] = float("-inf")
        log_p = torch.log_softmax(logits, dim=-1, out=logits)
        loss += F.nll_loss(log_p, t, ignore_index=ignore_index, reduction="sum")
        ignored = t == ignore_index
        grad = log_p.exp_()
        grad.scatter_add_(1, t.masked_fill(ignored, 0).unsqueeze(1), grad.new_full((len(t), 1), -1.0))
        if t.is_cuda or ignored.any():
            grad.masked_fill_(ignored.unsqueeze(1), 0)
        narrow = grad.to(hidden.dtype)
        if grad_hidden is not None:
            torch.mm(narrow, head, out=grad_hidden[start : start + chunk])
        if grad_weight is None:
            continue
        if narrow.dtype == wide:  # added inside the product: no second matrix as large as the weight
            torch.addmm(grad_weight, narrow.T, h, beta=float(start > 0), out=grad_weight)
        elif start == 0:
            grad_weight.copy_(narrow.T @ h)
        else:
            grad_weight += narrow.T @ h
    return loss, grad_hidden, None if grad_weight is None else grad_weight[: len(weight)].to(weight.dtype)
