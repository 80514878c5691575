"""The scale of attention's intermediate values, for the parity rule."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.cases import Scale, SumScale
from gpt_from_scratch.kernels.ops.attention.masking import visible_keys


def attention_scale(
    grads: tuple[Float[Tensor, "b hq tq d"]],
    q: Float[Tensor, "b hq tq d"],
    k: Float[Tensor, "b hkv tk d"],
    v: Float[Tensor, "b hkv tk d"],
    **options: Any,
) -> Scale:
    """Every result is a sum, over keys or queries, of probabilities P or of their gradients times rows.

    Scores lose eps · |q||k|ᵀ · scale in fp32, and P as much in proportion. In half precision P and its gradient are rounded
    one by one, and so are the outputs, from which a kernel forms delta = Σ dO · O. A cap passes on what its slope 1 - tanh²
    leaves of that, and rounds its own result; the slope loses what the tanh has lost, times its derivative.
    """
    group = q.shape[1] // k.shape[1]
    keys, values = (x.repeat_interleave(group, dim=1) for x in (k, v))
    scale = options.get("scale") or 1 / math.sqrt(q.shape[-1])
    softcap, sinks = options.get("softcap"), options.get("sinks")
    p, p_sink = probabilities(q, k, **{**options, "scale": scale})
    lost = q.abs() @ keys.abs().mT * abs(scale)
    slope, curve = torch.ones(()), torch.zeros(())
    if softcap is not None:
        bent = torch.tanh(q @ keys.mT * scale / softcap).abs()
        slope = 1 - bent.square()
        curve = 2 * bent * (slope * lost / softcap + bent)
        lost = slope * lost + softcap * bent
    moved = (p * lost).sum(-1, keepdim=True)
    unsure = p * (1 + lost + moved)
    do, out = grads[0], p @ values
    dp = do.abs() @ values.abs().mT
    ds = slope * unsure * (dp + (unsure * dp).sum(-1, keepdim=True)) * abs(scale)
    ds = ds + curve * p * (dp + (p * dp).sum(-1, keepdim=True)) * abs(scale)
    row_lost = (do * out).square().sum(-1, keepdim=True).sqrt()
    delta_lost = p * row_lost * abs(scale)
    ds_lost = p * ((do @ values.mT).abs() + (do * out).sum(-1, keepdim=True).abs()) * abs(scale)
    found: dict[str, float | SumScale] = {
        "output": SumScale(largest(unsure @ values.abs()), root(p.square() @ values.square())),
        "grad q": SumScale(
            largest(ds @ keys.abs()), root(ds_lost.square() @ keys.square()) + largest(delta_lost @ keys.abs())
        ),
        "grad k": over_queries(ds, ds_lost + delta_lost, q, group),
        "grad v": over_queries(unsure, p, do, group),
    }
    if sinks is not None:
        terms = p_sink * (1 + sinks.abs().view(-1, 1, 1) + moved) * (unsure * dp).sum(-1, keepdim=True)
        found["grad sinks"] = SumScale(largest(terms.sum((0, 2, 3))), root((p_sink * row_lost).square().sum((0, 2, 3))))
    return found


def probabilities(
    q: Float[Tensor, "b hq tq d"],
    k: Float[Tensor, "b hkv tk d"],
    *,
    causal: bool,
    scale: float,
    kv_lengths: Tensor | None,
    documents: Tensor | None = None,
    window: int | None = None,
    softcap: float | None = None,
    sinks: Float[Tensor, " hq"] | None = None,
) -> tuple[Float[Tensor, "b hq tq tk"], Float[Tensor, "b hq tq 1"]]:
    """(softmax over the keys that each query may see, the sinks' part); zeros where it sees none, and without sinks."""
    scores = q @ k.repeat_interleave(q.shape[1] // k.shape[1], dim=1).mT * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    visible = visible_keys(q.shape[2], k.shape[2], causal, kv_lengths, documents, window, q.device)
    least = torch.finfo(scores.dtype).min
    if visible is not None:
        scores = scores.masked_fill(~visible, least)
    sink = scores.new_full((), float("-inf")) if sinks is None else sinks.view(-1, 1, 1)
    weights = torch.cat([scores, sink.expand(*scores.shape[:3], 1)], dim=-1).softmax(-1)
    p, p_sink = weights[..., :-1], weights[..., -1:]
    return p if visible is None else p.masked_fill(~visible, 0), p_sink


def over_queries(
    weights: Float[Tensor, "b hq tq tk"],
    rounded: Float[Tensor, "b hq tq tk"],
    rows: Float[Tensor, "b hq tq d"],
    group: int,
) -> SumScale:
    """The scale of weightsᵀ rows, a sum over the queries of all heads that share their keys.

    Of each weight eps · `rounded` is lost by rounding. Neither is negative.
    """

    def summed(factors: Tensor, values: Tensor) -> Tensor:
        total: Tensor = (factors.mT @ values).unflatten(1, (-1, group)).sum(2)
        return total

    return SumScale(largest(summed(weights, rows.abs())), root(summed(rounded.square(), rows.square())))


def root(squares: Float[Tensor, "..."]) -> float:
    """The root of the largest element."""
    return math.sqrt(largest(squares))


def largest(x: Float[Tensor, "..."]) -> float:
    """The largest element, 0 if there is none."""
    return float(x.max()) if x.numel() else 0.0
