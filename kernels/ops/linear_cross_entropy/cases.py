"""Parity cases of linear_cross_entropy, and the scale of its intermediate values."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.kernels.cases import Case, Scale, SumScale, sum_scale


def linear_cross_entropy_cases() -> Iterator[Case]:
    """Vocabularies around block sizes and GPT-2's own, all reductions, ignored targets, large logits, the fp32 head."""
    for v in (2, 65, 512, 1000, 1023):
        yield case(f"vocabulary-{v}", v=v)
    yield case("vocabulary-50257", shape=(9,), v=50257, d=32)
    yield case("many-rows", shape=(1025,), v=67, d=48)
    yield case("width-760", shape=(9,), v=130, d=760)
    for reduction in ("mean", "sum", "none"):
        yield case(f"{reduction}-some-ignored", shape=(4, 9), reduction=reduction, ignored=0.5)
        yield case(f"{reduction}-all-ignored", shape=(7,), reduction=reduction, ignored=1.0)
        yield case(f"{reduction}-no-rows", shape=(0,), reduction=reduction)
        yield case(f"{reduction}-fp32-weight", shape=(33,), reduction=reduction, fp32_weight=True)
    yield case("one-row", shape=(1,))
    yield case("ignore-index-0", ignore_index=0, ignored=0.3)
    yield case("large-logits", size=20.0)
    yield case("strided", strided=True)
    yield case("grad-expanded", reduction="none", grad="expanded")
    yield case("grad-strided", shape=(5, 8), reduction="none", grad="strided")
    yield case("grad-transposed", shape=(5, 8), reduction="none", grad="transposed")
    for reduction in ("mean", "sum", "none"):
        yield case(f"{reduction}-weights", shape=(4, 9), reduction=reduction, ignored=0.3, weighted=True)
        yield case(f"{reduction}-smoothing", reduction=reduction, label_smoothing=0.1)
        yield case(f"{reduction}-z-loss", reduction=reduction, z_loss=1e-2)
        yield case(f"{reduction}-softcap", reduction=reduction, softcap=3.0, size=3.0)
        yield case(
            f"{reduction}-all-terms",
            shape=(5, 9),
            v=1000,
            reduction=reduction,
            ignored=0.3,
            weighted=True,
            label_smoothing=0.2,
            z_loss=1e-2,
            softcap=2.0,
        )
    yield case("many-terms", shape=(300,), v=270, d=16, weighted=True, label_smoothing=0.2, z_loss=1e-2, softcap=2.0)
    yield case("weights-fp32-weight", shape=(33,), v=2100, fp32_weight=True, ignored=0.3, weighted=True)
    yield case("weights-all-ignored", ignored=1.0, weighted=True)
    yield case("z-loss-all-ignored", ignored=1.0, z_loss=1e-2, softcap=30.0)


def case(
    name: str,
    *,
    shape: tuple[int, ...] = (37,),
    v: int = 130,
    d: int = 64,
    reduction: str = "mean",
    ignored: float = 0.0,
    ignore_index: int = -100,
    size: float = 1.0,
    fp32_weight: bool = False,
    strided: bool = False,
    weighted: bool = False,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
    grad: str = "dense",
) -> Case:
    """One case; `ignored` is the share of ignored targets, `strided` makes hidden a view of every second element."""
    terms = {"label_smoothing": label_smoothing, "z_loss": z_loss, "softcap": softcap}

    def make(generator: torch.Generator, dtype: torch.dtype) -> dict[str, Any]:
        hidden = (torch.randn(*shape, 2 * d if strided else d, generator=generator) * size).to(dtype)
        weight = torch.randn(v, d, generator=generator) / d**0.5
        kept = torch.promote_types(dtype, torch.float32) if fp32_weight else dtype
        targets = torch.randint(v, shape, generator=generator)
        targets[torch.rand(shape, generator=generator) < ignored] = ignore_index
        made = {
            "hidden": hidden[..., ::2] if strided else hidden,
            "weight": weight.to(kept),
            "targets": targets,
            "ignore_index": ignore_index,
            "reduction": reduction,
        }
        if weighted:  # one of them 0, as of a prompt's tokens
            made["token_weights"] = (
                torch.rand(shape, generator=generator)
                .flatten()
                .index_fill(0, torch.zeros(1, dtype=torch.int64), 0)
                .view(shape)
                .to(kept)
            )
        return made | terms

    layout = "strided inputs" if strided else None
    return Case(
        name, make, grad, math.prod(shape) * v > 2**16, layout, compiled=name in ("mean-some-ignored", "mean-all-terms")
    )


def linear_cross_entropy_scale(
    grads: tuple[Float[Tensor, "..."]],
    hidden: Float[Tensor, "*b d"],
    weight: Float[Tensor, "v d"],
    targets: Int[Tensor, "*b"],
    *,
    ignore_index: int,
    reduction: str,
    token_weights: Float[Tensor, "*b"] | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
) -> Scale:
    """Logits lose up to eps · |h||W|ᵀ, and the probabilities as much in proportion.

    A cap passes on what its slope leaves, and rounds; the square of the log-sum-exp loses twice its root times that.
    """
    rows, labels = hidden.flatten(0, -2), targets.flatten()
    kept = labels != ignore_index
    if not kept.any():
        return dict.fromkeys(("output", "grad hidden", "grad weight", "grad token_weights"), 0.0)
    rows, labels = rows[kept], labels[kept]
    factors = rows.new_ones(len(rows)) if token_weights is None else token_weights.flatten()[kept]
    lost, logits = rows.abs() @ weight.abs().T, rows @ weight.T
    slope, curve = torch.ones(()), torch.zeros(())
    if softcap is not None:
        bent = torch.tanh(logits / softcap)
        slope = 1 - bent.square()
        curve = 2 * bent.abs() * (slope * lost / softcap + bent.abs())
        lost, logits = slope * lost + softcap * bent.abs(), softcap * bent
    p, lse = torch.softmax(logits, dim=-1), torch.logsumexp(logits, dim=-1, keepdim=True).abs()
    upstream = grads[0].abs()
    upstream = upstream.flatten()[kept].unsqueeze(1) if reduction == "none" else upstream
    total = float(factors.sum()) or 1.0
    share = 1 / total if reduction == "mean" else 1.0
    worst = lost.amax(-1, keepdim=True)
    one_hot = torch.nn.functional.one_hot(labels, weight.shape[0])
    dlogits = p * ((1 + 2 * z_loss * lse) * (1 + lost) + 2 * z_loss * worst) + one_hot + label_smoothing / len(weight)
    dlogits = (
        (dlogits * slope + (p * (1 + 2 * z_loss * lse) + one_hot) * curve) * upstream * share * factors.unsqueeze(1)
    )
    worst = (worst * (1 + 2 * z_loss * lse) + z_loss * lse.square()).squeeze(1)
    each = worst * factors * share
    found: dict[str, float | SumScale] = {
        "output": float(each.max()) if reduction == "none" else sum_scale(each),
        "grad hidden": float((dlogits @ weight.abs()).max()),
        "grad weight": SumScale(
            float((dlogits.T @ rows.abs()).max()), float((dlogits.square().T @ rows.square()).max().sqrt())
        ),
    }
    if token_weights is not None:  # a row's loss, less the mean of all
        found["grad token_weights"] = float(((worst + lse.squeeze(1)) * 2 * upstream.flatten() * share).max())
    return found
