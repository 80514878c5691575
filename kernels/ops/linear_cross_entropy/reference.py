"""Reference of linear_cross_entropy: a language model's loss from its last hidden states."""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from gpt_from_scratch.kernels import argument_checks as checks
from gpt_from_scratch.kernels.backends import Place, Preference
from gpt_from_scratch.kernels.launch_config import parse_measured
from gpt_from_scratch.kernels.ops.linear_cross_entropy.cases import (
    linear_cross_entropy_cases,
    linear_cross_entropy_scale,
)
from gpt_from_scratch.kernels.ops.linear_cross_entropy.configurations import MEASURED
from gpt_from_scratch.kernels.registry import op

CHUNK_LOGITS = 2**25  # at most so many logits at a time: 128 MiB in fp32


def check_linear_cross_entropy(
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
    if not 0 <= label_smoothing < 1:
        raise ValueError(
            f"linear_cross_entropy: label_smoothing must be at least 0 and below 1, not {label_smoothing!r}"
        )
    if not 0 <= z_loss < math.inf:
        raise ValueError(f"linear_cross_entropy: z_loss must be a number from 0 on, not {z_loss!r}")
    if softcap is not None and not 0 < softcap < math.inf:
        raise ValueError(f"linear_cross_entropy: softcap must be a positive number, or None for none; not {softcap!r}")
    if token_weights is not None and token_weights.shape != targets.shape:
        raise ValueError(
            f"linear_cross_entropy: token_weights must be one a target, {tuple(targets.shape)}, "
            f"not {tuple(token_weights.shape)}"
        )
    checks.same_dtype("linear_cross_entropy", hidden=hidden)
    checks.parameter_dtype("linear_cross_entropy", hidden.dtype, weight=weight, token_weights=token_weights)
    checks.same_device(
        "linear_cross_entropy", hidden=hidden, weight=weight, targets=targets, token_weights=token_weights
    )
    checks.targets_in_range("linear_cross_entropy", targets, weight.shape[0], ignore_index)


def linear_cross_entropy_place(
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
) -> Place | str:
    """The width and the number of rows of the plain loss, by which it was measured."""
    if token_weights is not None or label_smoothing or z_loss or softcap is not None:
        return "with weights, smoothing, a z-loss or a cap"
    return Place(hidden.dtype, hidden.shape[-1], targets.numel())


@op(
    cases=linear_cross_entropy_cases,
    scale=linear_cross_entropy_scale,
    check=check_linear_cross_entropy,
    preference=Preference(measured=parse_measured(MEASURED, "linear_cross_entropy"), place=linear_cross_entropy_place),
)
def linear_cross_entropy(
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
    """-log softmax(hidden weightᵀ)[target], in nats, without ever holding all logits.

    Positions whose target is `ignore_index` give 0 and are not counted. "mean" divides by the number of the others, and
    gives 0 if there are none; "none" returns one loss a position. The weight is cast to hidden's dtype, the loss is at
    least fp32, the weight's gradient has the weight's dtype.

    `softcap` bounds the logits: softcap · tanh(logit / softcap) (Gemma Team 2024). `label_smoothing` takes the target for
    that share from all classes alike (Szegedy et al. 2016). `z_loss` adds z_loss · log(Σ exp(logits))² (Chowdhery et al.
    2022). `token_weights` multiply each position's loss, and "mean" divides by their sum in place of the number.
    """
    rows, labels = hidden.flatten(0, -2), targets.flatten()
    chunk = max(1, CHUNK_LOGITS // weight.shape[0])
    options = (ignore_index, label_smoothing, z_loss, softcap)
    if len(rows) <= chunk:
        losses = losses_of_rows(rows, weight, labels, *options)
    else:  # recompute each chunk's logits in the backward pass instead of keeping them
        parts = zip(rows.split(chunk), labels.split(chunk), strict=True)
        losses = torch.cat([checkpoint(losses_of_rows, h, weight, t, *options, use_reentrant=False) for h, t in parts])
    factors = None if token_weights is None else token_weights.flatten().to(losses.dtype)
    return reduced(losses if factors is None else losses * factors, labels, factors, targets, ignore_index, reduction)


def losses_of_rows(
    hidden: Float[Tensor, "n d"],
    weight: Float[Tensor, "v d"],
    labels: Int[Tensor, " n"],
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    softcap: float | None,
) -> Float[Tensor, " n"]:
    """The loss of each row, 0 where it is ignored."""
    wide = torch.promote_types(hidden.dtype, torch.float32)
    logits = hidden.to(wide) @ weight.to(hidden.dtype).to(wide).T
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    ignored = labels == ignore_index
    picked = logits.gather(1, labels.masked_fill(ignored, 0).unsqueeze(1)).squeeze(1)
    lse = torch.logsumexp(logits, dim=-1)
    losses = lse - picked
    if label_smoothing:
        losses = losses + label_smoothing * (picked - logits.mean(-1))
    if z_loss:
        losses = losses + z_loss * lse.square()
    return losses.masked_fill(ignored, 0)


def reduced(
    losses: Float[Tensor, "..."],
    labels: Int[Tensor, " n"],
    factors: Float[Tensor, " n"] | None,
    targets: Int[Tensor, "*b"],
    ignore_index: int,
    reduction: Literal["mean", "sum", "none"],
) -> Float[Tensor, "..."]:
    """Losses of rows, weighted already, or their sum, as `reduction` wants them; `factors` are the rows' weights."""
    if reduction == "none":
        return losses.view(targets.shape)
    total = losses.sum() if losses.ndim else losses
    if reduction == "sum":
        return total
    counted = labels != ignore_index
    if factors is None:
        return total / counted.sum().clamp(min=1)
    weight = factors.masked_fill(~counted, 0).sum()
    return total / torch.where(weight == 0, 1, weight)
