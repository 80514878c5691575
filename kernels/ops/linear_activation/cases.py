"""Parity cases of linear_activation, and the scale of its intermediate values."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.cases import Case, Scale, SumScale, sum_scale

STEEPEST = 1.2  # GELU's derivative is at most 1.13, its second one at most 0.8


def linear_activation_cases() -> Iterator[Case]:
    """Both activations, widths around blocks, any number of rows, no bias, the mixes that autocast makes, odd layouts."""
    for activation in ("gelu", "relu2"):
        for f in (1, 65, 128, 300, 1023):
            yield case(f"{activation}-width-{f}", f=f, activation=activation)
        yield case(f"{activation}-no-bias", bias=False, activation=activation)
        yield case(f"{activation}-fp32-parameters", fp32_parameters=True, activation=activation)
        yield case(f"{activation}-large", size=6.0, activation=activation)
    for rows in (0, 1, 257):
        yield case(f"rows-{rows}", shape=(rows,))
    yield case("rows-8192", shape=(8192,), d=16, f=48)  # an accumulator in half precision shows
    yield case("one-dimension", shape=())
    yield case("inner-760", shape=(9,), d=760, f=96)
    yield case("strided", strided=True)
    for grad in ("expanded", "strided", "transposed", "sliced"):
        yield case(f"grad-{grad}", shape=(6, 9), grad=grad)


def case(
    name: str,
    *,
    shape: tuple[int, ...] = (37,),
    d: int = 24,
    f: int = 130,
    bias: bool = True,
    activation: str = "gelu",
    fp32_parameters: bool = False,
    size: float = 1.0,
    strided: bool = False,
    grad: str = "dense",
) -> Case:
    """One case; `size` is the standard deviation of x, `strided` makes it a view of every second element."""

    def make(generator: torch.Generator, dtype: torch.dtype) -> dict[str, Any]:
        x = (torch.randn(*shape, 2 * d if strided else d, generator=generator) * size).to(dtype)
        kept = torch.promote_types(dtype, torch.float32) if fp32_parameters else dtype
        weight, shift = torch.randn(f, d, generator=generator) / d**0.5, torch.randn(f, generator=generator)
        return {
            "x": x[..., ::2] if strided else x,
            "weight": weight.to(kept),
            "bias": shift.to(kept) if bias else None,
            "activation": activation,
        }

    layout = "strided inputs" if strided else None
    large = math.prod(shape) * f > 2**17
    return Case(name, make, grad, large, layout, compiled=name in ("gelu-width-128", "relu2-no-bias"))


def linear_activation_scale(
    grads: tuple[Float[Tensor, "*b f"]],
    x: Float[Tensor, "*b d"],
    weight: Float[Tensor, "f d"],
    bias: Float[Tensor, " f"] | None,
    activation: str,
) -> Scale:
    """The sums lose up to eps · (|x||W|ᵀ + |bias|), the activation as much times its slope, its slope times its curvature."""
    if x.numel() == 0:
        return dict.fromkeys(("output", "grad x", "grad weight", "grad bias"), 0.0)
    rows, upstream = x.reshape(-1, x.shape[-1]), grads[0].reshape(-1, weight.shape[0]).abs()
    shift = torch.zeros_like(weight[:, 0]) if bias is None else bias
    hidden, lost = rows @ weight.T + shift, rows.abs() @ weight.abs().T + shift.abs()
    if activation == "gelu":
        slope, curvature = torch.full_like(hidden, STEEPEST), 1.0
    else:
        slope, curvature = 2 * hidden.clamp(min=0) + torch.finfo(torch.float32).eps * lost, 2.0
    inner = upstream * (slope + curvature * lost)
    return {
        "output": float((slope * lost).max())
        + float((hidden.abs() if activation == "gelu" else hidden.clamp(min=0).square()).max()),
        "grad x": float((inner @ weight.abs()).max()),
        "grad weight": SumScale(
            float((inner.T @ rows.abs()).max()), float((inner.square().T @ rows.square()).max().sqrt())
        ),
        "grad bias": sum_scale(inner),
    }
