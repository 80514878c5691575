"""Parity cases of rms_norm, and the scale of its intermediate values."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.cases import Case, Scale, sum_scale


def rms_norm_cases() -> Iterator[Case]:
    """Widths around powers of two and of heads, any number of rows, the layouts of heads, the mixes that autocast makes."""
    for d in (1, 16, 64, 97, 128, 768, 1023, 1600, 4096):
        yield case(f"width-{d}", shape=(5, d))
    for rows in (0, 1, 2, 33, 1025):
        yield case(f"rows-{rows}", shape=(rows, 96))
    yield case("rows-8192", shape=(8192, 128))  # an accumulator in half precision shows
    yield case("one-dimension", shape=(768,))
    yield case("no-weight", shape=(33, 96), weight=False)
    yield case("no-weight-width-1600", shape=(5, 1600), weight=False)
    yield case("fp32-weight", shape=(9, 768), fp32_weight=True)
    yield case("zero-row", shape=(9, 64), zeros=True)
    yield case("offset", shape=(9, 768), offset=100.0)
    yield case("eps", shape=(9, 64), eps=0.1)
    for weight in (True, False):
        name = "" if weight else "-no-weight"
        yield case(f"heads{name}", shape=(2, 3, 37, 16), heads=True, weight=weight)
    yield case("many-dimensions", shape=(2, 3, 2, 5, 24), heads=True)
    yield case("strided", shape=(9, 768), strided=True)
    for grad in ("expanded", "strided", "transposed", "sliced"):
        yield case(f"grad-{grad}", shape=(6, 9, 96), grad=grad)


def case(
    name: str,
    *,
    shape: tuple[int, ...],
    weight: bool = True,
    offset: float = 0.0,
    fp32_weight: bool = False,
    eps: float = 1e-6,
    zeros: bool = False,
    heads: bool = False,
    strided: bool = False,
    grad: str = "dense",
) -> Case:
    """One case.

    `heads` makes x a part of a packed projection with the second and third dimensions exchanged in memory, as queries and
    keys lie; `strided` a view of every second element of a wider tensor; `zeros` its first row zero.
    """

    def make(generator: torch.Generator, dtype: torch.dtype) -> dict[str, Any]:
        if heads:
            packed = torch.randn(shape[0], *shape[2:-1], shape[1] + 2, shape[-1], generator=generator)
            x = packed.to(dtype).movedim(-2, 1)[:, : shape[1]]
        elif strided:
            x = torch.randn(*shape[:-1], 2 * shape[-1], generator=generator).to(dtype)[..., ::2]
        else:
            x = (torch.randn(shape, generator=generator) + offset).to(dtype)
        if zeros:
            x[0] = 0
        scale = torch.randn(shape[-1], generator=generator)
        kept = torch.promote_types(dtype, torch.float32) if fp32_weight else dtype
        return {"x": x, "weight": scale.to(kept) if weight else None, "eps": eps}

    layout = "heads of a packed projection" if heads else "strided inputs" if strided else None
    return Case(name, make, grad, math.prod(shape) > 2**16, layout, compiled=name in ("width-768", "heads-no-weight"))


def rms_norm_scale(
    grads: tuple[Float[Tensor, "*b d"]],
    x: Float[Tensor, "*b d"],
    weight: Float[Tensor, " d"] | None = None,
    eps: float = 1e-6,
) -> Scale:
    """No step but the gradient's last subtracts: every value is as large as what it is made of."""
    if x.numel() == 0:
        return dict.fromkeys(("output", "grad x", "grad weight"), 0.0)
    rstd = torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)
    normed = (x * rstd).abs()
    upstream = grads[0].abs() if weight is None else (grads[0] * weight).abs()
    along = (upstream * normed).mean(-1, keepdim=True)
    return {
        "output": float((normed if weight is None else normed * weight.abs()).max()),
        "grad x": float((rstd * (upstream + normed * along)).max()),
        "grad weight": sum_scale((grads[0] * normed).reshape(-1, x.shape[-1])),
    }
