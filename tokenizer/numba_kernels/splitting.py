"""Kernel for splitting texts into words, by the table of `automaton.py`."""

# mypy: disallow-untyped-decorators=False, disallow-untyped-defs=False, disallow-untyped-calls=False

from typing import no_type_check

import numpy as np
from numba import types

from gpt_from_scratch.tokenizer.numba_kernels.compiling import i32, i64, integer, kernel, u8, u32

automaton_type = types.Tuple((u32, u32, integer, u8, integer))
"""The first fields of `automaton.Automaton`."""

BLOCK = 1 << 15
"""Bytes that are split at once, so that the boundaries stay in the nearest cache."""
BOUNDARIES = 2 * BLOCK + 8
"""The length of the array in which `split_block` gives the boundaries it found."""


@kernel(types.UniTuple(integer, 2)(u8, integer, integer))
@no_type_check
def code_point(data, i, stop):
    """The code point at byte i and its width; a byte that is not UTF-8 counts as U+DC80 …, as in surrogateescape."""
    first = np.int64(data[i])
    if 0xC2 <= first < 0xE0 and i + 1 < stop and data[i + 1] & 0xC0 == 0x80:
        return (first & 0x1F) << 6 | np.int64(data[i + 1]) & 0x3F, 2
    if 0xE0 <= first < 0xF0 and i + 2 < stop and data[i + 1] & 0xC0 == 0x80 and data[i + 2] & 0xC0 == 0x80:
        point = (first & 0xF) << 12 | (np.int64(data[i + 1]) & 0x3F) << 6 | np.int64(data[i + 2]) & 0x3F
        if point >= 0x800 and not 0xD800 <= point < 0xE000:
            return point, 3
    if 0xF0 <= first < 0xF5 and i + 3 < stop and data[i + 1] & 0xC0 == 0x80 and data[i + 2] & 0xC0 == 0x80:
        point = (first & 7) << 18 | (np.int64(data[i + 1]) & 0x3F) << 12 | (np.int64(data[i + 2]) & 0x3F) << 6
        point |= np.int64(data[i + 3]) & 0x3F
        if data[i + 3] & 0xC0 == 0x80 and 0x10000 <= point < 0x110000:
            return point, 4
    return 0xDC00 + first, 1


@kernel(integer(u8, integer, automaton_type, i64, i32))
@no_type_check
def split_block(data, stop, automaton, state, boundaries):
    """Go on through `data` up to `stop`, some `BLOCK` bytes at once; the number of `boundaries` found (ends of words).

    `state` holds the place, the table's row, the starts of the last two characters, the place to go back to, and 1 when
    the end has been reached. The actions are `automaton.py`'s.
    """
    table, pair_table, width_bits, classes, end_class = automaton
    i, row, one_before, two_before, remembered = state[0], state[1], state[2], state[3], state[4]
    limit = min(stop, i + BLOCK)
    found = 0
    while True:
        while i < limit:
            if i + 1 < limit and (data[i] | data[i + 1]) < 128:
                pair = np.int64(classes[data[i]]) << width_bits | np.int64(classes[data[i + 1]])
                entry = np.int64(pair_table[(row << width_bits) + pair])
                if not entry & 16:
                    row = entry >> 5
                    boundaries[found] = two_before
                    found += entry >> 3 & 1
                    boundaries[found] = one_before
                    found += entry >> 2 & 1
                    boundaries[found] = i
                    found += entry >> 1 & 1
                    boundaries[found] = i + 1
                    found += entry & 1
                    two_before, one_before = i, i + 1
                    i += 2
                    continue
            if data[i] < 128:
                character, width = classes[data[i]], 1
            else:
                point, width = code_point(data, i, stop)
                character = classes[point]
            entry = np.int64(table[row + character])
            row = entry >> 5
            if entry & 24:
                if entry & 8:
                    remembered = two_before
                else:
                    boundaries[found] = remembered
                    found += 1
                    i = one_before = two_before = remembered
                    limit = i if found > BLOCK else min(limit, i + BLOCK)
                    continue
            boundaries[found] = two_before
            found += entry >> 2 & 1
            boundaries[found] = one_before
            found += entry >> 1 & 1
            boundaries[found] = i
            found += entry & 1
            two_before = one_before
            one_before = i
            i += width
        if i < stop or state[5] == 1:
            break
        entry = np.int64(table[row + end_class])
        row = entry >> 5
        if entry & 16:
            boundaries[found] = remembered
            found += 1
            i = one_before = two_before = remembered
            limit = i if found > BLOCK else min(stop, i + BLOCK)
            continue
        boundaries[found] = two_before
        found += entry >> 2 & 1
        boundaries[found] = one_before
        found += entry >> 1 & 1
        boundaries[found] = i
        found += entry & 1
        state[5] = 1
        break
    state[0], state[1], state[2], state[3], state[4] = i, row, one_before, two_before, remembered
    return found
