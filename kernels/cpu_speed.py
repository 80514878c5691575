"""Measures for speed on a CPU: kept memory, small activations, and no denormal numbers. All are explained here.

Kept blocks. malloc returns a large block to the system at once, and the system takes long to hand out pages that nobody had
    before. `large_empty` keeps such blocks when they are free; the gradients of a large embedding and of the head lie in
    them. A step of GPT-2 124M takes 3.41 s with them and 3.75 s without (two cores; benchmarks/LOG.md). Accelerators have
    torch's caching allocator for the same reason.
Small activations. `rows_that_fit` says how many rows of a batch to compute at a time, so that malloc keeps their activations:
    one row of GPT-2 124M at a time takes 3.75 GB, four take 5.16 GB and no less time (benchmarks/LOG.md).
No denormals. A model that is very sure makes numbers below 1e-38, with which CPUs are slow; `no_denormals` makes them 0.

Generation has one more of its own: weights in oneDNN's layout (models/generation/onednn_weights.py).
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
"""The size of a block that is kept: glibc maps from here on afresh each time, whatever it has learned
(DEFAULT_MMAP_THRESHOLD_MAX)."""
ACTIVATION_BYTES = 2**24
"""The most that an activation of several rows takes. Twice as much is 2 % quicker for GPT-2 124M, for 0.9 GB more; from
`LARGE_BYTES` on it is slower."""
ALIGNMENT = 64  # torch's own

_free: deque[NDArray[np.uint8]] = deque(maxlen=4)


def rows_that_fit(row_bytes: int) -> int:
    """The rows of a batch whose widest activation, of `row_bytes` a row, takes no more than `ACTIVATION_BYTES`: 1 at least."""
    return max(1, ACTIVATION_BYTES // row_bytes)


@contextlib.contextmanager
def no_denormals() -> Iterator[None]:
    """Numbers below 1e-38 are 0 while the block runs.

    The threads of an operation are made with the first large one, and keep what holds then.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


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
