"""Sharded tensors (DTensors), as used by FSDP."""

import torch
from jaxtyping import Float
from torch import Tensor


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor is sharded. A DTensor, whose import costs a second, is recognized by its method."""
    return hasattr(tensor, "to_local")


def local(tensor: Tensor) -> Tensor:
    """This rank's part of a tensor."""
    piece: Tensor = tensor.to_local() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]
    return piece


def placed_like(parameter: Float[Tensor, "*d"], value: Float[Tensor, "*d"]) -> Float[Tensor, "*d"]:
    """A copy of `value` on the parameter's device, sharded like it."""
    if not is_sharded(parameter):
        return value.to(parameter.device, copy=True)
    from gpt_from_scratch.training.checkpoints.parts import put

    target = torch.empty_like(parameter)
    put(target, value)
    return target
