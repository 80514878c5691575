"""The loss of a language model from its last hidden states, written out."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from gpt_from_scratch.kernels import argument_checks as checks
from gpt_from_scratch.kernels.ops.linear_cross_entropy.cases import (
    linear_cross_entropy_cases,
    linear_cross_entropy_scale,
)
from gpt_from_scratch.kernels.registry import op

CHUNK_LOGITS = 2**25  # at most so many logits at a time: 128 MiB in fp32


def check_linear_cross_entropy(
    hidden: Tensor, weight: Tensor, targets: Tensor, *, ignore_index: int = -100, reduction: str = "mean"
) -> None:
    """Raise ValueError or TypeError on arguments outside the op's contract."""
    if (
        weight.ndim != 2
        or hidden.ndim == 0
        or hidden.shape[-1] != weight.shape[1]
        or hidden.shape[:-1] != targets.shape
    ):
        raise ValueError(
            "linear_cross_entropy: expected hidden (..., d), weight (v, d) and targets (...), "
            f"got {tuple(hidden.shape)}, {tuple(weight.shape)}, {tuple(targets.shape)}"
        )
    if targets.dtype != torch.int64:
        raise TypeError(f"linear_cross_entropy: targets must be torch.int64, they are {targets.dtype}")
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"linear_cross_entropy: reduction must be 'mean', 'sum' or 'none', not {reduction!r}")
    checks.same_dtype("linear_cross_entropy", hidden=hidden)
    checks.parameter_dtype("linear_cross_entropy", hidden.dtype, weight=weight)
    checks.same_device("linear_cross_entropy", hidden=hidden, weight=weight, targets=targets)
    checks.targets_in_range("linear_cross_entropy", targets, weight.shape[0], ignore_index)


@op(cases=linear_cross_entropy_cases, scale=linear_cross_entropy_scale, check=check_linear_cross_entropy)
def linear_cross_entropy(
    hidden: Float[Tensor, "*b d"],
    weight: Float[Tensor, "v d"],
    targets: Int[Tensor, "*b"],
    *,
    ignore_index: int = -100,
    reduction: Literal["mean", "sum", "none"] = "mean",
) -> Float[Tensor, "..."]:
    """-log softmax(hidden weightᵀ)[target], in nats, without ever holding all logits.

    Positions whose target is `ignore_index` give 0 and are not counted. "mean" divides by the number of the others, and
    gives 0 if there are none; "none" returns one loss a position. The weight is cast to hidden's dtype, the loss is at
    least fp32, the weight's gradient has the weight's dtype.
    """
    rows, labels = hidden.flatten(0, -2), targets.flatten()
    chunk = max(1, CHUNK_LOGITS // weight.shape[0])
    if len(rows) <= chunk:
        losses = _losses(rows, weight, labels, ignore_index)
    else:  # recompute each chunk's logits in the backward pass instead of keeping them
        parts = zip(rows.split(chunk), labels.split(chunk), strict=True)
        losses = torch.cat([checkpoint(_losses, h, weight, t, ignore_index, use_reentrant=False) for h, t in parts])
    if reduction == "none":
        return losses.view(targets.shape)
    return losses.sum() if reduction == "sum" else losses.sum() / (labels != ignore_index).sum().clamp(min=1)


def _losses(
    hidden: Float[Tensor, "n d"], weight: Float[Tensor, "v d"], labels: Int[Tensor, " n"], ignore_index: int
) -> Float[Tensor, " n"]:
    wide = torch.promote_types(hidden.dtype, torch.float32)
    logits = hidden.to(wide) @ weight.to(hidden.dtype).to(wide).T
    ignored = labels == ignore_index
    picked = logits.gather(1, labels.masked_fill(ignored, 0).unsqueeze(1)).squeeze(1)
    return (torch.logsumexp(logits, dim=-1) - picked).masked_fill(ignored, 0)
