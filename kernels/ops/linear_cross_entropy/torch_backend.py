"""The torch backend of linear_cross_entropy: chunks of tokens, with gradients computed in the forward pass."""

from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.kernels.cpu_speed import large_empty
from gpt_from_scratch.kernels.derivatives import first_derivatives_only
from gpt_from_scratch.kernels.ops.linear_cross_entropy.reference import CHUNK_LOGITS, linear_cross_entropy, reduced
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
    token_weights: Float[Tensor, "*b"] | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
) -> Float[Tensor, "..."]:
    """Each chunk's logits are computed once, and its gradient at the same time (as in Liger and llm.c).

    Only for "mean" and "sum", whose gradient is known up to a factor; "none" with gradients is the reference.
    """
    rows, labels = hidden.flatten(0, -2), targets.flatten()
    factors = None if token_weights is None else token_weights.flatten()
    if reduction != "none" and labels.device.type == "cpu" and not torch.compiler.is_compiling():
        counted = (labels != ignore_index).nonzero().squeeze(1)  # reading it from a GPU would synchronize
        if len(counted) < len(labels):  # skip ignored positions: a fifth of `tiny`'s rows is padding
            rows, labels = rows.index_select(0, counted), labels[counted]
            factors = None if factors is None else factors[counted]
    needs_grad = torch.is_grad_enabled() and any(
        x is not None and x.requires_grad for x in (hidden, weight, token_weights)
    )
    terms = Terms(label_smoothing, z_loss, softcap)
    few = len(rows) * weight.shape[0] <= FEW_LOGITS
    if terms.plain and factors is None and (few or not needs_grad):
        loss = _by_cross_entropy(rows, weight, labels, ignore_index, "none" if reduction == "none" else "sum")
    elif reduction == "none" or few:
        return linear_cross_entropy.reference(
            hidden,
            weight,
            targets,
            ignore_index=ignore_index,
            reduction=reduction,
            token_weights=token_weights,
            label_smoothing=label_smoothing,
            z_loss=z_loss,
            softcap=softcap,
        )
    else:
        wide = torch.promote_types(rows.dtype, torch.float32)
        factors = None if factors is None else factors.to(wide)
        loss = _GradientInForward.apply(rows, weight, labels, factors, ignore_index, terms)  # type: ignore[no-untyped-call]
    return reduced(loss, labels, factors, targets, ignore_index, reduction)


class Terms(NamedTuple):
    """Additional terms of the loss and the cap of the logits; none by default."""

    label_smoothing: float = 0.0
    z_loss: float = 0.0
    softcap: float | None = None

    @property
    def plain(self) -> bool:
        """Whether the loss is plain cross-entropy."""
        return not self.label_smoothing and not self.z_loss and self.softcap is None


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
    """Summed loss. Backward only multiplies the gradients from the forward pass by the incoming factor."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Float[Tensor, "n d"],
        weight: Float[Tensor, "v d"],
        labels: Int[Tensor, " n"],
        factors: Float[Tensor, " n"] | None,
        ignore_index: int,
        terms: Terms,
    ) -> Float[Tensor, ""]:
        ctx.options = (ignore_index, terms, *ctx.needs_input_grad[:2])
        loss, *ctx.formed = _loss_and_gradients(hidden, weight, labels, factors, *ctx.options)
        ctx.save_for_backward(hidden, weight, labels, factors)
        return loss

    @staticmethod
    @first_derivatives_only  # the gradients are constants to autograd
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        formed, ctx.formed = ctx.formed, None
        if formed is None:  # an earlier pass through a retained graph has returned these gradients
            _, *formed = _loss_and_gradients(*ctx.saved_tensors, *ctx.options)
        (factor,) = grads
        grad_hidden, grad_weight, losses = (
            None if g is None else g.mul_(factor) if g.dtype == factor.dtype else scaled(g, factor) for g in formed
        )
        return grad_hidden, grad_weight, None, losses, None, None


def _loss_and_gradients(
    hidden: Float[Tensor, "n d"],
    weight: Float[Tensor, "v d"],
    labels: Int[Tensor, " n"],
    factors: Float[Tensor, " n"] | None,
    ignore_index: int,
    terms: Terms,
    with_hidden: bool,
    with_weight: bool,
) -> tuple[Float[Tensor, ""], Float[Tensor, "n d"] | None, Float[Tensor, "v d"] | None, Float[Tensor, " n"] | None]:
    """The sum of the weighted losses, and its gradients by hidden, weight and the rows' weights, None where not wanted."""
    wide = torch.promote_types(hidden.dtype, torch.float32)
    head = _head(weight, hidden.dtype)
    loss = hidden.new_zeros((), dtype=wide)
    grad_hidden = torch.empty_like(hidden, memory_format=torch.contiguous_format) if with_hidden else None
    # A bf16 accumulator diverges (Liger-Kernel#512).
    grad_weight = large_empty(head.shape, wide, weight.device) if with_weight else None
    unweighted = None if factors is None else torch.empty_like(factors)
    chunk = min(len(hidden), max(1, CHUNK_LOGITS // len(head)))
    memory = large_empty((chunk, len(head)), hidden.dtype, hidden.device)
    for start in range(0, len(hidden), chunk):
        part = slice(start, start + chunk)
        h, t = hidden[part], labels[part]
        logits = torch.mm(h, head.T, out=memory[: len(t)]).to(wide)
        if terms.plain:
            losses, grad = _of_logits(logits, t, len(weight), ignore_index, factors is not None)
        else:
            losses, grad = _with_terms(logits, t, len(weight), ignore_index, terms)
        if unweighted is None:
            loss += losses.sum()
        else:
            assert factors is not None
            unweighted[part] = losses
            loss += losses @ factors[part]
            grad *= factors[part].unsqueeze(1)
        ignored = t == ignore_index
        if t.is_cuda or ignored.any():
            grad.masked_fill_(ignored.unsqueeze(1), 0)
        narrow = grad.to(hidden.dtype)
        if grad_hidden is not None:
            torch.mm(narrow, head, out=grad_hidden[part])
        if grad_weight is None:
            continue
        if narrow.dtype == wide:  # accumulated in the product, without a second matrix of the weight's size
            torch.addmm(grad_weight, narrow.T, h, beta=float(start > 0), out=grad_weight)
        elif start == 0:
            grad_weight.copy_(narrow.T @ h)
        else:
            grad_weight += narrow.T @ h
    if grad_weight is not None:
        grad_weight = grad_weight[: len(weight)].to(weight.dtype)
    return loss, grad_hidden, grad_weight, unweighted


def _of_logits(
    logits: Float[Tensor, "n w"], labels: Int[Tensor, " n"], vocabulary: int, ignore_index: int, each: bool
) -> tuple[Float[Tensor, "..."], Float[Tensor, "n w"]]:
    """The cross-entropy, of each row or summed, and its gradient, written over the logits."""
    logits[:, vocabulary:] = float("-inf")
    log_p = torch.log_softmax(logits, dim=-1, out=logits)
    losses = F.nll_loss(log_p, labels, ignore_index=ignore_index, reduction="none" if each else "sum")
    grad = log_p.exp_()
    picked = labels.masked_fill(labels == ignore_index, 0).unsqueeze(1)
    grad.scatter_add_(1, picked, grad.new_full((len(labels), 1), -1.0))
    return losses, grad


def _with_terms(
    logits: Float[Tensor, "n w"], labels: Int[Tensor, " n"], vocabulary: int, ignore_index: int, terms: Terms
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n w"]]:
    """Each row's loss with all its terms, and its gradient, written over the logits."""
    if terms.softcap is not None:
        logits = logits.div_(terms.softcap).tanh_()
        slope = 1 - logits.square()
        logits.mul_(terms.softcap)
    logits[:, vocabulary:] = float("-inf")
    ignored = labels == ignore_index
    target = labels.masked_fill(ignored, 0).unsqueeze(1)
    picked = logits.gather(1, target).squeeze(1)
    lse = torch.logsumexp(logits, dim=-1)
    smoothing = terms.label_smoothing
    losses = lse - picked + terms.z_loss * lse.square()
    if smoothing:
        losses += smoothing * (picked - logits[:, :vocabulary].mean(-1))
    grad = logits.sub_(lse.unsqueeze(1)).exp_()
    grad.mul_((1 + 2 * terms.z_loss * lse).unsqueeze(1))
    grad[:, :vocabulary] -= smoothing / vocabulary
    grad.scatter_add_(1, target, grad.new_full((len(labels), 1), smoothing - 1))
    if terms.softcap is not None:
        grad.mul_(slope)
    return losses.masked_fill_(ignored, 0), grad
