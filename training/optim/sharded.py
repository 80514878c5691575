"""Tensors of which each rank has a part only, as FSDP keeps them."""

import torch
from jaxtyping import Float
from torch import Tensor


def is_sharded(tensor: Tensor) -> bool:
    """Whether this rank has a part of it only (a DTensor, whose import costs a second, is known by its method)."""
    return hasattr(tensor, "to_local")


def local(tensor: Tensor) -> Tensor:
    """What this rank has of a tensor."""
    piece: Tensor = tensor.to_local() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]
    return piece


def placed_like(parameter: Float[Tensor, "*d"], value: Float[Tensor, "*d"]) -> Float[Tensor, "*d"]:
    """A copy of `value` where the parameter is, sharded if it is."""
    if not is_sharded(parameter):
        return value.to(parameter.device, copy=True)
    from gpt_from_scratch.training.checkpoints.parts import put

    target = torch.empty_like(parameter)
    put(target, value)
    return target
