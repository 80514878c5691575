"""Compilation of kernels, and the types that their signatures are made of.

For whoever edits a kernel (`loading.kernels_for` gives them, with a folder for numba's cache):

- Every kernel has one explicit signature: a read-only or strided array would compile another version in mid-run.
- int64 with uint64 silently becomes float64: hashes and their shifts are np.uint64 throughout.
- A text is followed by `PADDING` bytes that may be read but are never part of a word.
"""

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
