"""CPU optimizations: reused memory blocks, small activations, and no denormal numbers.

Reused blocks. malloc returns a large block to the system at once, and mapping new pages is slow. `large_empty` keeps free
blocks for the gradients of a large embedding and of the head. A step of GPT-2 124M takes 3.41 s with them and 3.75 s
without (two cores; benchmarks/LOG.md). Accelerators have torch's caching allocator for the same reason.

Small activations. `rows_that_fit` gives the number of rows of a batch to compute at a time, so that malloc reuses their
memory: one row of GPT-2 124M at a time takes 3.75 GB, four take 5.16 GB and no less time (benchmarks/LOG.md).

No denormals. A confident model produces numbers below 1e-38, which are slow on CPUs; `no_denormals` flushes them to 0.

Generation also uses weights in oneDNN's layout (models/generation/onednn_weights.py).
"""

import contextlib
import math
import weakref
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Shaped
from numpy.typing import NDArray
from torch import Tensor

LARGE_BYTES = 2**25
"""Minimum size of a reused block: glibc maps larger ones anew each time (DEFAULT_MMAP_THRESHOLD_MAX)."""
ACTIVATION_BYTES = 2**24
"""Maximum size of an activation of several rows. Twice as much is 2 % faster for GPT-2 124M but needs 0.9 GB more; from
`LARGE_BYTES` on it is slower.
"""
ALIGNMENT = 64  # torch's own

_free: deque[NDArray[np.uint8]] = deque(maxlen=4)


def rows_that_fit(row_bytes: int) -> int:
    """Number of rows, at least 1, whose widest activation, `row_bytes` per row, fits in `ACTIVATION_BYTES`."""
    return max(1, ACTIVATION_BYTES // row_bytes)


@contextlib.contextmanager
def no_denormals() -> Iterator[None]:
    """Context in which numbers below 1e-38 are 0. The operations' threads inherit the setting when they are created."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def is_large(n_bytes: int, device: torch.device) -> bool:
    """Whether a tensor of this size gets a reused block. Not while a compiler traces, since it plans memory itself."""
    return device.type == "cpu" and n_bytes >= LARGE_BYTES and not torch.compiler.is_compiling()


def large_empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Shaped[Tensor, "..."]:
    """torch.empty, which reuses the block of an earlier tensor if this one is large and on a CPU.

    The block is free again when the last tensor that views it is gone.
    """
    n_bytes = math.prod(shape) * dtype.itemsize
    if not is_large(n_bytes, device):
        return torch.empty(shape, dtype=dtype, device=device)
    block = _taken(n_bytes)
    start = -block.ctypes.data % ALIGNMENT
    lent = block[start : start + n_bytes]
    # torch keeps `lent` alive as long as it needs the memory.
    weakref.finalize(lent, _free.append, block).atexit = False
    # Detached, because a view keeps its base alive, and autograd adds in place only to tensors without other references.
    return torch.frombuffer(lent, dtype=dtype).view(*shape).detach()


def _taken(n_bytes: int) -> NDArray[np.uint8]:
    """Take a free block of one to two times the needed size, or a new one. Thread-safe."""
    for _ in range(len(_free)):
        try:
            block = _free.popleft()
        except IndexError:
            break
        if n_bytes + ALIGNMENT <= block.nbytes <= 2 * n_bytes:
            return block
        _free.append(block)
    return np.empty(n_bytes + ALIGNMENT, dtype=np.uint8)
