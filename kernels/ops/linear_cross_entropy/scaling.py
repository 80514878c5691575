"""Gradients that the forward pass has formed, multiplied in the backward pass by the factor that comes in."""

import torch
from jaxtyping import Float
from torch import Tensor


def scaled(gradient: Float[Tensor, "*s"], factor: Float[Tensor, ""]) -> Float[Tensor, "*s"]:
    """`gradient` · `factor`, multiplied in at least fp32: one over a batch's tokens is no normal number in fp16."""
    wide = torch.promote_types(gradient.dtype, torch.float32)
    return (gradient.to(wide) * factor).to(gradient.dtype)
