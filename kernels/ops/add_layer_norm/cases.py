"""Parity cases of add_layer_norm, and the scale of its intermediate values."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.cases import Case, Scale, sum_scale
from gpt_from_scratch.kernels.ops.layer_norm.cases import layer_norm_cases, layer_norm_scale


def add_layer_norm_cases() -> Iterator[Case]:
    """layer_norm's cases, with a second random summand beside x."""
    for case in layer_norm_cases():
        yield replace(case, make=partial(with_residual, case))


def with_residual(case: Case, generator: torch.Generator, dtype: torch.dtype) -> dict[str, Any]:
    """layer_norm's arguments and a residual like x."""
    arguments = case.make(generator, dtype)
    x = arguments.pop("x")
    return {"x": x, "residual": torch.randn(x.shape, generator=generator).to(dtype), **arguments}


def add_layer_norm_scale(
    grads: tuple[Float[Tensor, "*b d"], Float[Tensor, "*b d"]],
    x: Float[Tensor, "*b d"],
    residual: Float[Tensor, "*b d"],
    weight: Float[Tensor, " d"],
    bias: Float[Tensor, " d"] | None,
    eps: float,
) -> Scale:
    """layer_norm's at the sum, whose own rounding and gradient come on top."""
    total, both = x + residual, x.abs() + residual.abs()
    scale = layer_norm_scale(grads[:1], total, weight, bias, eps)
    if x.numel() == 0:
        return {**scale, "output 1": 0.0, "grad residual": 0.0}
    rstd = torch.rsqrt(total.var(-1, unbiased=False, keepdim=True) + eps)
    output, grad = scale["output"], scale["grad x"]
    assert isinstance(output, float) and isinstance(grad, float)
    rounded = float((both * rstd * weight.abs()).max())  # the sum is rounded to x's dtype before it is normalised
    grad = grad * (1 + float((both * rstd).max())) + float(grads[1].abs().max())
    lost = total.abs().amax(-1, keepdim=True) + both
    return {
        "output": output + rounded,
        "output 1": float(both.max()),
        "grad x": grad,
        "grad residual": grad,
        "grad weight": sum_scale((grads[0] * lost * rstd).reshape(-1, x.shape[-1])),
        "grad bias": scale["grad bias"],
    }
