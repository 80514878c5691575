"""Checks that several ops share: what no backend may be given raises here, before a kernel is chosen."""

from collections.abc import Mapping

import torch
from torch import Tensor


def same_device(op: str, **tensors: Tensor | None) -> None:
    """Raise ValueError unless all tensors are on one device."""
    devices = {name: tensor.device for name, tensor in tensors.items() if tensor is not None}
    if len(set(devices.values())) > 1:
        raise ValueError(f"{op}: all tensors must be on one device, got {_listed(devices)}")


def same_dtype(op: str, **tensors: Tensor | None) -> None:
    """Raise TypeError unless all tensors have one floating dtype."""
    dtypes = {name: tensor.dtype for name, tensor in tensors.items() if tensor is not None}
    if len(set(dtypes.values())) > 1 or not next(iter(dtypes.values())).is_floating_point:
        raise TypeError(f"{op}: {', '.join(dtypes)} must have one floating dtype, got {_listed(dtypes)}")


def parameter_dtype(op: str, activation: torch.dtype, **parameters: Tensor | None) -> None:
    """Raise TypeError unless every parameter is fp32 or has the activations' dtype: the mixes that autocast makes."""
    for name, tensor in parameters.items():
        if tensor is not None and tensor.dtype not in (activation, torch.float32):
            raise TypeError(
                f"{op}: {name} must be {activation} like the activations, or torch.float32; it is {tensor.dtype}"
            )


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in values.items())
