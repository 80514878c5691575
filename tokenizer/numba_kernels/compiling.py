"""How a kernel is compiled, and the types that the signatures are made of."""

from collections.abc import Callable
from typing import Any

from numba import njit, types

u8, u32, u64 = types.uint8[::1], types.uint32[::1], types.uint64[::1]
i32, i64, integer = types.int32[::1], types.int64[::1], types.int64

PADDING = 8


def kernel(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile for exactly this signature, at import, to run without the interpreter's lock."""
    made: Callable[[Callable[..., Any]], Any] = njit(
        signature, nogil=True, cache=True, error_model="numpy", no_cfunc_wrapper=True
    )
    return made


def helper(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """A small function that kernels call for every word; Python cannot call it.

    It is compiled within its callers, so that a kernel read from the cache loads no helper with it. Its types follow from
    theirs: `signature` says which those are, and a test that numba infers the result from the arguments so.
    """

    def made(function: Callable[..., Any]) -> Any:
        compiled = njit(nogil=True, error_model="numpy", forceinline=True)(function)
        compiled.declared = signature
        return compiled

    return made
