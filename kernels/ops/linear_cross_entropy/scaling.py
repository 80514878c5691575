"""Scaling of gradients from the forward pass by the incoming factor."""

import torch
from jaxtyping import Float
from torch import Tensor


def scaled(gradient: Float[Tensor, "*s"], factor: Float[Tensor, ""]) -> Float[Tensor, "*s"]:
    """`gradient` · `factor`, multiplied in at least fp32, since 1 / (number of tokens) may be denormal in fp16."""
    wide = torch.promote_types(gradient.dtype, torch.float32)
    return (gradient.to(wide) * factor).to(gradient.dtype)
