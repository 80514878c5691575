"""Parity cases of attention, and the scale of its intermediate values."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.registry import Case


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
        kv_lengths = None if lengths is None else torch.tensor(lengths)
        return {"q": q, "k": k, "v": v, "causal": causal, "scale": scale, "kv_lengths": kv_lengths}

    return Case(name, make, grad, large=tq * tk > 2**16)


def attention_scale(
    grads: tuple[Float[Tensor, "b hq tq d"]],
    q: Float[Tensor, "b hq tq d"],
    k: Float[Tensor, "b hkv tk d"],
    v: Float[Tensor, "b hkv tk d"],
    **options: Any,
) -> dict[str, float]:
    """|P||V| for the output, and the same products of absolute values that form the gradients, |dO||V||K|·scale."""
    from gpt_from_scratch.kernels.attention.reference import attention

    group = q.shape[1] // k.shape[1]
    keys, values = (x.repeat_interleave(group, dim=1).abs() for x in (k, v))
    tk = k.shape[2]
    eye = torch.eye(tk, dtype=q.dtype, device=q.device).expand(*k.shape[:2], tk, tk)  # values that make the output P
    if tk <= k.shape[3]:
        wide_k, wide_v, wide_q = k, torch.nn.functional.pad(eye, (0, k.shape[3] - tk)), q
    else:
        pad = tk - k.shape[3]
        wide_q, wide_k, wide_v = torch.nn.functional.pad(q, (0, pad)), torch.nn.functional.pad(k, (0, pad)), eye
    scale = options.get("scale") or 1 / math.sqrt(q.shape[-1])
    p = attention.reference(wide_q, wide_k, wide_v, **{**options, "scale": scale})[..., :tk]
    dp = grads[0].abs() @ values.transpose(-2, -1)
    ds = p * (dp + (p * dp).sum(-1, keepdim=True)) * scale
    return {
        "output": largest(p @ values),
        "grad q": largest(ds @ keys),
        "grad k": largest((ds.transpose(-2, -1) @ q.abs()).unflatten(1, (-1, group)).sum(2)),
        "grad v": largest((p.transpose(-2, -1) @ grads[0].abs()).unflatten(1, (-1, group)).sum(2)),
    }


def largest(x: Float[Tensor, "..."]) -> float:
    """The largest element, 0 if there is none."""
    return float(x.max()) if x.numel() else 0.0
