"""Ranges of blocks: the keys that a tile of queries sees, and the queries that see a tile of keys. No other is visited.

Query i stands at position i + offset among its row's keys. What it sees is one interval, since documents are runs, and so
are the queries that see a key.
"""

from typing import no_type_check

import triton
import triton.language as tl


@triton.jit
@no_type_check
def key_range(
    lengths_ptr,
    batch,
    first_row,
    tq,
    tk,
    CAUSAL: tl.constexpr,
    LENGTHS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """For queries first_row to first_row + BLOCK_M: (offset, valid, full, end), in keys, without documents and windows.

    Query i sees the keys up to i + offset, and below `valid`. All of them see those below `full`, none any from `end` on.
    """
    length = tk
    if LENGTHS:
        length = tl.load(lengths_ptr + batch).to(tl.int32)
    valid = tl.minimum(tl.maximum(length, 0), tk)
    offset = length - tq
    end = valid
    full = valid
    if CAUSAL:
        end = tl.minimum(tl.maximum(tl.minimum(first_row + BLOCK_M, tq) + offset, 0), valid)
        full = tl.minimum(tl.maximum(first_row + offset + 1, 0), valid)
    return offset, valid, full // BLOCK_N * BLOCK_N, end


@triton.jit
@no_type_check
def keys_of(
    position,
    starts_ptr,
    ends_ptr,
    tk,
    valid,
    window,
    CAUSAL: tl.constexpr,
    DOCUMENTS: tl.constexpr,
    WINDOW: tl.constexpr,
):
    """(first, last) key that each query sees, first > last where it sees none; the pointers are at the batch's row."""
    first = position * 0
    last = first + valid - 1
    if CAUSAL:
        last = tl.minimum(last, position)
    if WINDOW:
        first = tl.maximum(first, position - window + 1)
        if not CAUSAL:
            last = tl.minimum(last, position + window - 1)
    if DOCUMENTS:
        inside = (position >= 0) & (position < tk)
        first = tl.maximum(first, tl.load(starts_ptr + position, mask=inside, other=tk))
        if not CAUSAL:
            last = tl.minimum(last, tl.load(ends_ptr + position, mask=inside, other=0) - 1)
    return first, last


@triton.jit
@no_type_check
def queries_of(
    key,
    starts_ptr,
    ends_ptr,
    tk,
    tq,
    offset,
    window,
    CAUSAL: tl.constexpr,
    DOCUMENTS: tl.constexpr,
    WINDOW: tl.constexpr,
):
    """(first, last) query that sees each key: `keys_of` seen from the other side."""
    first = key * 0
    last = first + tq - 1
    if CAUSAL:
        first = tl.maximum(first, key - offset)
    if WINDOW:
        last = tl.minimum(last, key + window - 1 - offset)
        if not CAUSAL:
            first = tl.maximum(first, key - window + 1 - offset)
    if DOCUMENTS:
        last = tl.minimum(last, tl.load(ends_ptr + key, mask=key < tk, other=0) - 1 - offset)
        if not CAUSAL:
            first = tl.maximum(first, tl.load(starts_ptr + key, mask=key < tk, other=tk) - offset)
    return first, last


@triton.jit
@no_type_check
def blocks_of(first, last, counts, limit, BLOCK: tl.constexpr, SPARE: tl.constexpr):
    """For the intervals first to last of those rows that count, within `limit`: (begin, full, stop, end).

    No interval has anything before `begin`, or from `end` on. The blocks from `full` to `stop` lie in all of them, where
    SPARE without the block that holds the least `last`. All are the first elements of blocks, but `end`.
    """
    seen = counts & (first <= last)
    begin = tl.min(tl.where(seen, first, limit), 0) // BLOCK * BLOCK
    end = tl.max(tl.where(seen, last + 1, 0), 0)
    full = tl.cdiv(tl.max(tl.where(counts, first, 0), 0), BLOCK) * BLOCK
    least = tl.min(tl.where(counts, last + 1, limit), 0)
    stop = tl.maximum(least - SPARE, 0) // BLOCK * BLOCK
    whole = (full < stop) & (begin < end)
    return begin, tl.where(whole, full, begin), tl.where(whole, stop, begin), end
