"""Parity cases of layer_norm, and the scale of its intermediate values."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.cases import Case, Scale, sum_scale


def layer_norm_cases() -> Iterator[Case]:
    """Widths around powers of two, any number of rows, a large offset, the mixes that autocast makes, odd layouts."""
    for d in (1, 32, 97, 760, 768, 1023, 1024, 1600):
        yield case(f"width-{d}", shape=(5, d))
    for rows in (0, 1, 2, 33, 1025):
        yield case(f"rows-{rows}", shape=(rows, 768))
    yield case("rows-8192", shape=(8192, 128))  # an accumulator in half precision shows
    yield case("one-dimension", shape=(768,))
    yield case("batched", shape=(3, 7, 96))
    yield case("offset", shape=(9, 768), offset=100.0)
    yield case("no-bias", shape=(9, 768), bias=False)
    yield case("fp32-parameters", shape=(9, 768), fp32_parameters=True)
    yield case("fp32-weight-no-bias", shape=(9, 768), fp32_parameters=True, bias=False)
    yield case("eps", shape=(9, 64), eps=0.1)
    yield case("strided", shape=(9, 768), strided=True)
    for grad in ("expanded", "strided", "transposed", "sliced"):
        yield case(f"grad-{grad}", shape=(6, 9, 96), grad=grad)


def case(
    name: str,
    *,
    shape: tuple[int, ...],
    offset: float = 0.0,
    bias: bool = True,
    fp32_parameters: bool = False,
    eps: float = 1e-5,
    strided: bool = False,
    grad: str = "dense",
) -> Case:
    """One case; `strided` makes x a view of every second element of a wider tensor."""

    def make(generator: torch.Generator, dtype: torch.dtype) -> dict[str, Any]:
        return {"x": activations(generator, shape, dtype, offset, strided)} | parameters(generator, dtype)

    def parameters(generator: torch.Generator, dtype: torch.dtype) -> dict[str, Any]:
        kept = torch.promote_types(dtype, torch.float32) if fp32_parameters else dtype
        weight, shift = (torch.randn(shape[-1], generator=generator).to(kept) for _ in range(2))
        return {"weight": weight, "bias": shift if bias else None, "eps": eps}

    layout = "strided inputs" if strided else None
    return Case(name, make, grad, math.prod(shape) > 2**16, layout, compiled=name in ("width-768", "grad-expanded"))


def activations(
    generator: torch.Generator, shape: tuple[int, ...], dtype: torch.dtype, offset: float, strided: bool
) -> Float[Tensor, "..."]:
    """Random rows around `offset`, as every second element of a wider tensor if `strided`."""
    if strided:
        return (torch.randn(*shape[:-1], 2 * shape[-1], generator=generator) + offset).to(dtype)[..., ::2]
    return (torch.randn(shape, generator=generator) + offset).to(dtype)


def layer_norm_scale(
    grads: tuple[Float[Tensor, "*b d"]],
    x: Float[Tensor, "*b d"],
    weight: Float[Tensor, " d"],
    bias: Float[Tensor, " d"] | None,
    eps: float,
) -> Scale:
    """|x|max · rstd is what subtracting the mean can lose."""
    if x.numel() == 0:
        return dict.fromkeys(("output", "grad x", "grad weight", "grad bias"), 0.0)
    rstd = torch.rsqrt(x.var(-1, unbiased=False, keepdim=True) + eps)
    lost = x.abs().amax(-1, keepdim=True) * rstd
    upstream = (grads[0] * weight).abs().amax(-1, keepdim=True)
    return {
        "output": float((lost * weight.abs() + (0 if bias is None else bias.abs())).max()),
        "grad x": float((rstd * upstream * (1 + lost)).max()),
        "grad weight": sum_scale((grads[0] * lost).reshape(-1, x.shape[-1])),
        "grad bias": sum_scale(grads[0].reshape(-1, x.shape[-1])),
    }
