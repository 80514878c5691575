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
    grad: str = "dense",
) -> Case:
    """One case; `ignored` is the share of ignored targets, `strided` makes hidden a view of every second element."""

    def make(generator: torch.Generator, dtype: torch.dtype) -> dict[str, Any]:
        hidden = (torch.randn(*shape, 2 * d if strided else d, generator=generator) * size).to(dtype)
        weight = torch.randn(v, d, generator=generator) / d**0.5
        kept = torch.promote_types(dtype, torch.float32) if fp32_weight else dtype
        targets = torch.randint(v, shape, generator=generator)
        targets[torch.rand(shape, generator=generator) < ignored] = ignore_index
        return {
            "hidden": hidden[..., ::2] if strided else hidden,
            "weight": weight.to(kept),
            "targets": targets,
            "ignore_index": ignore_index,
            "reduction": reduction,
        }

    layout = "strided inputs" if strided else None
    return Case(name, make, grad, math.prod(shape) * v > 2**16, layout, compiled=name == "mean-some-ignored")


def linear_cross_entropy_scale(
    grads: tuple[Float[Tensor, "..."]],
    hidden: Float[Tensor, "*b d"],
    weight: Float[Tensor, "v d"],
    targets: Int[Tensor, "*b"],
    *,
    ignore_index: int,
    reduction: str,
) -> Scale:
    """Logits lose up to eps · |h||W|ᵀ, and the probabilities as much in proportion."""
    rows, labels = hidden.flatten(0, -2), targets.flatten()
    kept = labels != ignore_index
    if not kept.any():
        return dict.fromkeys(("output", "grad hidden", "grad weight"), 0.0)
    rows, labels = rows[kept], labels[kept]
    lost = rows.abs() @ weight.abs().T
    p = torch.softmax(rows @ weight.T, dim=-1)
    upstream = grads[0].abs()
    upstream = upstream.flatten()[kept].unsqueeze(1) if reduction == "none" else upstream
    share = 1 / len(rows) if reduction == "mean" else 1.0
    dlogits = (p * (1 + lost) + torch.nn.functional.one_hot(labels, weight.shape[0])) * upstream * share
    worst = lost.amax(-1) * share
    return {
        "output": float(worst.max()) if reduction == "none" else sum_scale(worst),
        "grad hidden": float((dlogits @ weight.abs()).max()),
        "grad weight": SumScale(
            float((dlogits.T @ rows.abs()).max()), float((dlogits.square().T @ rows.square()).max().sqrt())
        ),
    }
