"""How a kernel is compiled, and the types that the signatures are made of."""

from typing import Any

from numba import njit, types

u8, u32, u64 = types.uint8[::1], types.uint32[::1], types.uint64[::1]
i32, i64, integer = types.int32[::1], types.int64[::1], types.int64

PADDING = 8


def kernel(signature: Any, inline: bool = False) -> Any:
    """Compile for exactly this signature, at import, to run without the interpreter's lock.

    `inline` is for small functions that other kernels call for every word; Python cannot call them.
    """
    if inline:  # compiled within its callers: one that is read from the cache needs no helper
        return njit(nogil=True, error_model="numpy", forceinline=True)
    return njit(signature, nogil=True, cache=True, error_model="numpy", no_cfunc_wrapper=True)
