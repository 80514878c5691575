"""Parity cases of add_layer_norm, and the scale of its intermediate values."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.layer_norm.cases import layer_norm_cases, layer_norm_scale
from gpt_from_scratch.kernels.registry import Case


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
) -> dict[str, float]:
    """layer_norm's at the sum, whose own rounding and gradient come on top."""
    scale = layer_norm_scale(grads[:1], x + residual, weight, bias, eps)
    both = x.abs() + residual.abs()
    if x.numel() == 0:
        return {**scale, "output 1": 0.0, "grad residual": 0.0}
    rstd = torch.rsqrt((x + residual).var(-1, unbiased=False, keepdim=True) + eps)
    rounded = float((both * rstd * weight.abs()).max())  # the sum is rounded to x's dtype before it is normalised
    grad = scale["grad x"] * (1 + float((both * rstd).max())) + float(grads[1].abs().max())
    weighted = float((grads[0].abs() * both * rstd).flatten(0, -2).sum(0).max() if x.ndim > 1 else (both * rstd).max())
    return {
        "output": scale["output"] + rounded,
        "output 1": float(both.max()),
        "grad x": grad,
        "grad residual": grad,
        "grad weight": scale["grad weight"] + weighted,
        "grad bias": scale["grad bias"],
    }
