"""Rotary positions with a custom backward pass, which needs less memory and bandwidth than autograd's.

Compilers fuse such operations themselves, so they get the formula. So do activations below fp32, whose intermediate values
are wider.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def rotate(x: Float[Tensor, "b h t d"], rotary: Float[Tensor, "2 #b 1 t half"]) -> Float[Tensor, "b h t d"]:
    """Rotate the pairs (x[i], x[i + d/2]) by their positions' angles (Su et al. 2021)."""
    if _by_formula(x) or rotary.requires_grad:
        first, second = x.chunk(2, dim=-1)
        cosine, sine = rotary
        return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)
    rotated: Tensor = _Rotation.apply(x, rotary)  # type: ignore[no-untyped-call]
    return rotated


def _by_formula(x: Tensor) -> bool:
    return x.dtype not in (torch.float32, torch.float64) or torch.compiler.is_compiling()


class _Rotation(torch.autograd.Function):
    """Autograd function of the rotation; its gradient is rotated back."""

    @staticmethod
    def forward(
        ctx: Any, x: Float[Tensor, "b h t d"], rotary: Float[Tensor, "2 #b 1 t half"]
    ) -> Float[Tensor, "b h t d"]:
        ctx.save_for_backward(rotary)
        cosine, sine = rotary
        return _turned(x, cosine, sine)

    @staticmethod
    def backward(ctx: Any, grad: Float[Tensor, "b h t d"]) -> tuple[Float[Tensor, "b h t d"], None]:
        (rotary,) = ctx.saved_tensors
        cosine, sine = rotary
        if torch.is_grad_enabled():  # a graph of this pass is wanted
            return rotate(grad, torch.stack([cosine, -sine])), None
        return _turned(grad, cosine, -sine), None


def _turned(
    x: Float[Tensor, "b h t d"], cosine: Float[Tensor, "#b 1 t half"], sine: Float[Tensor, "#b 1 t half"]
) -> Float[Tensor, "b h t d"]:
    out = torch.empty_like(x)
    (first, second), (left, right) = x.chunk(2, dim=-1), out.chunk(2, dim=-1)
    torch.mul(first, cosine, out=left).addcmul_(second, sine, value=-1)
    torch.mul(first, sine, out=right).addcmul_(second, cosine)
    return out
