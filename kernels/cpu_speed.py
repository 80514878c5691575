"""Large blocks of a CPU's memory, kept when they are free: the system takes long to hand out pages that nobody had before.

malloc keeps small blocks and gives them out again, but returns a large one to the system at once. A product written into
such fresh pages ran at three quarters of the rate that it has in memory at hand (benchmarks/LOG.md); accelerators have
torch's caching allocator for the same reason.
"""

import math
import weakref
from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from torch import Tensor

LARGE_BYTES = 2**25  # glibc maps from here on afresh each time, whatever it has learned (DEFAULT_MMAP_THRESHOLD_MAX)
ALIGNMENT = 64  # torch's own

_free: deque[NDArray[np.uint8]] = deque(maxlen=4)


def is_large(n_bytes: int, device: torch.device) -> bool:
    """Whether a tensor of so many bytes gets a kept block; not where a compiler traces, which plans its memory itself."""
    return device.type == "cpu" and n_bytes >= LARGE_BYTES and not torch.compiler.is_compiling()


def large_empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Shaped[Tensor, "..."]:
    """torch.empty, in a block that an earlier tensor has left where this one is large and on a CPU.

    The block is free again when the last tensor that views it is gone.
    """
    n_bytes = math.prod(shape) * dtype.itemsize
    if not is_large(n_bytes, device):
        return torch.empty(shape, dtype=dtype, device=device)
    block = _taken(n_bytes)
    start = -block.ctypes.data % ALIGNMENT
    lent = block[start : start + n_bytes]
    weakref.finalize(lent, _free.append, block).atexit = False  # torch holds `lent` as long as it needs the memory
    # Detached, for a view keeps its base alive, and autograd adds in place only to what nothing else holds.
    return torch.frombuffer(lent, dtype=dtype).view(*shape).detach()


def _taken(n_bytes: int) -> NDArray[np.uint8]:
    """A free block that is large enough and at most twice as large as needed, or a new one; another thread may take, too."""
    for _ in range(len(_free)):
        try:
            block = _free.popleft()
        except IndexError:
            break
        if n_bytes + ALIGNMENT <= block.nbytes <= 2 * n_bytes:
            return block
        _free.append(block)
    return np.empty(n_bytes + ALIGNMENT, dtype=np.uint8)
