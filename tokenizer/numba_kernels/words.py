"""Words as keys of hash tables."""

# mypy: disallow-untyped-decorators=False, disallow-untyped-defs=False, disallow-untyped-calls=False

from typing import no_type_check

import numpy as np
from numba import types

from gpt_from_scratch.tokenizer.numba_kernels.compiling import helper, integer, u8

_MIX = np.uint64(0x9E3779B97F4A7C15)
_LONG = np.uint64(0xFF << 56)


@helper(types.uint64(u8, integer))
@no_type_check
def load(data, i):
    """Eight bytes as one number (the compiler makes one load of it)."""
    j = np.uint64(i)
    low = np.uint64(data[j]) | np.uint64(data[j + np.uint64(1)]) << np.uint64(8)
    low |= np.uint64(data[j + np.uint64(2)]) << np.uint64(16) | np.uint64(data[j + np.uint64(3)]) << np.uint64(24)
    high = np.uint64(data[j + np.uint64(4)]) | np.uint64(data[j + np.uint64(5)]) << np.uint64(8)
    high |= np.uint64(data[j + np.uint64(6)]) << np.uint64(16) | np.uint64(data[j + np.uint64(7)]) << np.uint64(24)
    return low | high << np.uint64(32)


@helper(types.uint64(u8, integer, integer))
@no_type_check
def word_key(data, start, length):
    """Up to 7 bytes: the bytes themselves and the length, hence exact. Longer: a hash, to be verified. Never 0."""
    if length < 8:
        used = np.uint64(8 * length)
        return load(data, start) & ((np.uint64(1) << used) - np.uint64(1)) | np.uint64(length) << np.uint64(56)
    mixed = np.uint64(length)
    for i in range(start, start + length - 8, 8):
        mixed = (mixed ^ load(data, i)) * _MIX
        mixed ^= mixed >> np.uint64(29)
    mixed = (mixed ^ load(data, start + length - 8)) * _MIX
    return mixed >> np.uint64(8) | _LONG


@helper(types.boolean(u8, integer, u8, integer, integer))
@no_type_check
def same_bytes(data, start, other, other_start, length):
    """Whether two words of at least 8 bytes are equal."""
    for i in range(0, length - 8, 8):
        if load(data, start + i) != load(other, other_start + i):
            return False
    return load(data, start + length - 8) == load(other, other_start + length - 8)


@helper(integer(types.uint64, integer))
@no_type_check
def home(key, size):
    """The slot of a table of `size` (a power of two) at which to begin looking for `key`."""
    return np.int64(((key ^ key >> np.uint64(31)) * _MIX) >> np.uint64(32)) & (size - 1)
