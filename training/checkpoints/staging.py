"""The copy in memory for an asynchronous save, and the check for non-finite values."""

from collections.abc import Mapping

import torch
from torch import Tensor

from gpt_from_scratch.models.weight_files import not_finite


class NonFiniteError(ValueError):
    """The state holds NaN or infinity. If it were saved, rotation would replace good checkpoints with a useless one."""


class Staging:
    """Buffers in main memory, reused by every save.

    They cost one permanent copy of the state, but training stalls a third as long as with `clone` (measured), because the
    memory pages are already mapped. From a GPU the copies run in parallel into pinned memory.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    @torch.no_grad()
    def copy(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copy the tensors. The next call overwrites the copies that this one returned."""
        buffers: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            buffer = self._buffers.get(name)
            if buffer is None or (buffer.shape, buffer.dtype) != (tensor.shape, tensor.dtype):
                buffer = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
            buffers[name] = buffer.copy_(tensor, non_blocking=tensor.is_cuda)
        self._buffers = buffers
        for device in {tensor.device for tensor in tensors.values()}:
            if device.type == "cuda":
                torch.cuda.synchronize(device)
        return dict(buffers)


def require_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raises NonFiniteError that names the tensors with a NaN or an infinity in them."""
    if wrong := not_finite(tensors):
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise NonFiniteError(f"not saved, since these hold NaN or infinity: {', '.join(wrong[:5])}{more}")
