"""Parity cases of attention, and the scale of its intermediate values."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.kernels.cases import Case, Scale, SumScale
from gpt_from_scratch.kernels.ops.attention.masking import visible_keys


def attention_cases() -> Iterator[Case]:
    """Lengths on both sides of every block boundary, cached decoding, ragged batches, grouped queries, odd layouts."""
    for tq in (1, 97, 113, 203, 1023, 1024, 1025):
        yield case(f"causal-t{tq}", tq=tq, tk=tq)
    for d in (16, 32, 40, 64, 80, 128):
        yield case(f"causal-d{d}", d=d)
        yield case(f"full-d{d}", d=d, causal=False)
    for tq, tk in ((1, 239), (1, 64), (3, 799), (65, 128), (113, 203), (203, 113), (128, 256), (1024, 1023)):
        yield case(f"causal-{tq}-of-{tk}", tq=tq, tk=tk)
        yield case(f"full-{tq}-of-{tk}", tq=tq, tk=tk, causal=False)
    yield case("grouped", hq=6, hkv=2)
    yield case("multi-query", hq=4, hkv=1, tq=64, tk=64)
    yield case("ragged", b=4, lengths=(97, 50, 1, 0))
    yield case("ragged-int32", b=4, lengths=(97, 50, 1, 0), length_dtype=torch.int32)
    yield case("ragged-full", b=4, lengths=(97, 50, 1, 0), causal=False)
    yield case("ragged-decode", b=3, tq=1, tk=130, lengths=(130, 64, 7))
    yield case("ragged-grouped-chunk", b=2, hq=4, hkv=2, tq=16, tk=80, lengths=(80, 40))
    yield case("scale", scale=0.25)
    yield case("large-logits", size=8.0)
    yield case("early-peak", tq=200, tk=200, peak=64.0)
    # Scores of hundreds times a scale that is no power of two would round by more than the rule allows, also torch's.
    yield case("early-peak-d80", tq=200, tk=200, d=80, causal=False, scale=0.125, peak=64.0)
    yield case("no-rows", b=0)
    yield case("no-queries", tq=0, tk=8)
    yield case("packed", packed=True)
    yield case("packed-1024", packed=True, tq=1024, tk=1024)
    for grad in ("expanded", "strided", "transposed", "sliced"):
        yield case(f"grad-{grad}", grad=grad)


def case(
    name: str,
    *,
    b: int = 2,
    hq: int = 2,
    hkv: int = 0,
    tq: int = 97,
    tk: int = 97,
    d: int = 64,
    causal: bool = True,
    scale: float | None = None,
    lengths: tuple[int, ...] | None = None,
    length_dtype: torch.dtype = torch.int64,
    size: float = 1.0,
    peak: float = 1.0,
    packed: bool = False,
    grad: str = "dense",
) -> Case:
    """One case; `packed` takes q, k and v as strided views of one projection, as the model does; `hkv` 0 is `hq`.

    `size` multiplies the queries, `peak` the first keys, whose scores then lie far above or below all others.
    """
    hkv = hkv or hq

    def make(generator: torch.Generator, dtype: torch.dtype) -> dict[str, Any]:
        if packed:
            projection = torch.randn(b, tq, 3, hq, d, generator=generator).to(dtype)
            q, k, v = (x.transpose(1, 2) for x in projection.unbind(2))
        else:
            q = (torch.randn(b, hq, tq, d, generator=generator) * size).to(dtype)
            k, v = (torch.randn(b, hkv, tk, d, generator=generator).to(dtype) for _ in range(2))
            k[:, :, :3] *= peak
        kv_lengths = None if lengths is None else torch.tensor(lengths, dtype=length_dtype)
        return {"q": q, "k": k, "v": v, "causal": causal, "scale": scale, "kv_lengths": kv_lengths}

    layout = "packed inputs" if packed else None
    return Case(name, make, grad, tq * tk > 2**16, layout, compiled=name in ("causal-t97", "ragged"))


def attention_scale(
    grads: tuple[Float[Tensor, "b hq tq d"]],
    q: Float[Tensor, "b hq tq d"],
    k: Float[Tensor, "b hkv tk d"],
    v: Float[Tensor, "b hkv tk d"],
    **options: Any,
) -> Scale:
    """Every result is a sum, over keys or queries, of probabilities P or of their gradients times rows.

    Scores lose eps · |q||k|ᵀ · scale in fp32, and P as much in proportion. In half precision P and its gradient are rounded
    one by one, and so are the outputs, from which a kernel forms delta = Σ dO · O.
    """
    group = q.shape[1] // k.shape[1]
    keys, values = (x.repeat_interleave(group, dim=1) for x in (k, v))
    scale = options.get("scale") or 1 / math.sqrt(q.shape[-1])
    p = probabilities(q, k, **{**options, "scale": scale})
    lost = q.abs() @ keys.abs().mT * abs(scale)
    unsure = p * (1 + lost + (p * lost).sum(-1, keepdim=True))
    do, out = grads[0], p @ values
    dp = do.abs() @ values.abs().mT
    ds = unsure * (dp + (unsure * dp).sum(-1, keepdim=True)) * abs(scale)
    delta_lost = p * (do * out).square().sum(-1, keepdim=True).sqrt() * abs(scale)
    ds_lost = p * ((do @ values.mT).abs() + (do * out).sum(-1, keepdim=True).abs()) * abs(scale)
    return {
        "output": SumScale(largest(unsure @ values.abs()), root(p.square() @ values.square())),
        "grad q": SumScale(
            largest(ds @ keys.abs()), root(ds_lost.square() @ keys.square()) + largest(delta_lost @ keys.abs())
        ),
        "grad k": over_queries(ds, ds_lost + delta_lost, q, group),
        "grad v": over_queries(unsure, p, do, group),
    }


def probabilities(
    q: Float[Tensor, "b hq tq d"],
    k: Float[Tensor, "b hkv tk d"],
    *,
    causal: bool,
    scale: float,
    kv_lengths: Int[Tensor, " b"] | None,
) -> Float[Tensor, "b hq tq tk"]:
    """softmax(q kᵀ · scale) over the keys that each query may see; a query that sees none has zeros."""
    scores = q @ k.repeat_interleave(q.shape[1] // k.shape[1], dim=1).mT * scale
    visible = visible_keys(q.shape[2], k.shape[2], causal, kv_lengths, q.device)
    if visible is None:
        return scores.softmax(-1)
    return scores.masked_fill(~visible, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(~visible, 0)


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
