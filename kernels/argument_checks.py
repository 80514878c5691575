"""Argument checks that several ops share, made before a backend is chosen."""

from collections.abc import Mapping

import torch
from torch import Tensor


def same_device(op: str, **tensors: Tensor | None) -> None:
    """Raise ValueError unless all tensors are on one device."""
    first = None
    for tensor in tensors.values():  # no dict where all is well: every call of an op passes here
        if tensor is not None:
            first = tensor.device if first is None else first
            if tensor.device != first:
                devices = {name: one.device for name, one in tensors.items() if one is not None}
                raise ValueError(f"{op}: all tensors must be on one device, got {_listed(devices)}")


def same_dtype(op: str, **tensors: Tensor | None) -> None:
    """Raise TypeError unless all tensors have one floating dtype."""
    first = None
    for tensor in tensors.values():
        if tensor is not None:
            first = tensor.dtype if first is None else first
            if tensor.dtype != first or not first.is_floating_point:
                dtypes = {name: one.dtype for name, one in tensors.items() if one is not None}
                raise TypeError(f"{op}: {', '.join(dtypes)} must have one floating dtype, got {_listed(dtypes)}")


def parameter_dtype(op: str, activation: torch.dtype, **parameters: Tensor | None) -> None:
    """Raise TypeError unless every parameter is fp32 or has the activations' dtype, as under autocast."""
    for name, tensor in parameters.items():
        if tensor is not None and tensor.dtype not in (activation, torch.float32):
            raise TypeError(
                f"{op}: {name} must be {activation} like the activations, or torch.float32; it is {tensor.dtype}"
            )


def targets_in_range(op: str, targets: Tensor, classes: int, ignore_index: int) -> None:
    """Raise ValueError unless every target is a class or `ignore_index`: a kernel would read outside the logits.

    On a CUDA GPU, where reading values would synchronize, the device checks and stops with a RuntimeError.
    """
    if targets.is_meta or targets.numel() == 0:
        return
    waits = targets.is_cuda or torch.compiler.is_compiling()
    if not waits:
        least, most = torch.aminmax(targets)
        if least.item() >= 0 and most.item() < classes:  # the usual case: a single pass
            return
    allowed = ((targets >= 0) & (targets < classes)) | (targets == ignore_index)
    if waits:
        torch._assert_async(allowed.all(), f"{op}: a target is neither ignore_index nor below the {classes} classes")
    elif not allowed.all():
        wrong = targets[~allowed].flatten()[0].item()
        raise ValueError(f"{op}: targets must be 0 to {classes - 1} or ignore_index ({ignore_index}), one is {wrong}")


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in values.items())
