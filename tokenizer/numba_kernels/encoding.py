"""Kernel for encoding: `reference.encode_word` for every word of a text, with a cache of words.

Most words of a text have been seen before, and are one token: then a word costs one look-up, in a table whose entry holds
the token itself. A full cache is emptied, since one that only fills no longer helps when the text changes.
"""

# mypy: disallow-untyped-decorators=False, disallow-untyped-defs=False, disallow-untyped-calls=False

from typing import no_type_check

import numpy as np
from numba import types

from gpt_from_scratch.tokenizer.numba_kernels.compiling import helper, i32, i64, integer, kernel, u8, u32, u64
from gpt_from_scratch.tokenizer.numba_kernels.splitting import automaton_type, split_block
from gpt_from_scratch.tokenizer.numba_kernels.words import home, same_bytes, word_key

merges_type = types.Tuple((i32, u64, i32, u32))
"""Each byte's symbol; a hash table from a pair (`pair_key`) to the symbol it becomes; each symbol's token id."""
cache_type = types.Tuple((u64, i64, i32, u8, u32, i64))
"""By slot: the word's key; 256 x the word's only token, or 256 x its tokens' place in the arena + their number; its
bytes' place. The bytes and the tokens (the arenas). Last: [words, bytes used, tokens used]."""
scratch_type = types.Tuple((i32, i32, i32, i64))
"""By position in one word: symbol, next, previous; and a heap."""

CACHE_SLOTS = 1 << 19
CACHE_BYTES = 1 << 22
LONGEST_CACHED = 128
"""Bytes of a word that is worth remembering; also keeps the number of its tokens below 256."""
LONGEST_SCANNED = 64
"""Bytes of a word up to which looking through all its pairs for the next merge is quicker than a heap."""
_NEVER = 0x7FFFFFFF


@helper(types.uint64(integer, integer))
@no_type_check
def pair_key(left, right):
    return np.uint64(left + 1) << np.uint64(32) | np.uint64(right)


@kernel(merges_type(i32, i32, u32))
@no_type_check
def new_merges(byte_symbols, pairs, ids):
    """The tables of a tokenizer; merge k joins pairs[2k] and pairs[2k + 1] to symbol 256 + k, whose id is ids[256 + k]."""
    size = 1024
    while size < 2 * pairs.size:
        size *= 2
    keys, values = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for k in range(pairs.size // 2):
        key = pair_key(pairs[2 * k], pairs[2 * k + 1])
        slot = home(key, size)
        while keys[slot] != 0:
            slot = (slot + 1) & (size - 1)
        keys[slot], values[slot] = key, 256 + k
    return byte_symbols, keys, values, ids


def new_cache():
    """An empty cache. Made by numpy, whose zeros cost nothing until they are used."""
    return (
        np.zeros(CACHE_SLOTS, np.uint64),
        np.zeros(CACHE_SLOTS, np.int64),
        np.zeros(CACHE_SLOTS, np.int32),
        np.zeros(CACHE_BYTES + 8, np.uint8),
        np.zeros(CACHE_BYTES, np.uint32),
        np.zeros(3, np.int64),
    )


@helper(integer(u64, i32, integer, integer))
@no_type_check
def joined(keys, values, left, right):
    """The symbol the pair becomes, or `_NEVER`."""
    key = pair_key(left, right)
    slot = home(key, keys.size)
    while keys[slot] != 0:
        if keys[slot] == key:
            return np.int64(values[slot])
        slot = (slot + 1) & (keys.size - 1)
    return _NEVER


@kernel(integer(u8, integer, integer, merges_type, scratch_type, u32, integer))
@no_type_check
def encode_short(data, start, length, merges, scratch, out, used):
    """Write the tokens of a word at out[used:]; their number. Looks for the first of the lowest merges again and again."""
    byte_symbols, keys, values, ids = merges
    symbol, becomes = scratch[0], scratch[1]
    for i in range(length):
        symbol[i] = byte_symbols[data[start + i]]
    for i in range(length - 1):
        becomes[i] = joined(keys, values, symbol[i], symbol[i + 1])
    while length > 1:
        best = 0
        for i in range(1, length - 1):
            if becomes[i] < becomes[best]:
                best = i
        if becomes[best] == _NEVER:
            break
        symbol[best] = becomes[best]
        length -= 1
        for i in range(best + 1, length):
            symbol[i] = symbol[i + 1]
            becomes[i - 1] = becomes[i]
        for i in range(max(best - 1, 0), min(best + 1, length - 1)):
            becomes[i] = joined(keys, values, symbol[i], symbol[i + 1])
    for i in range(length):
        out[used + i] = ids[symbol[i]]
    return length


@helper(types.void(i64, integer, integer))
@no_type_check
def sift_down(heap, place, size):
    item = heap[place]
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= item:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = item


@helper(integer(i64, integer, integer))
@no_type_check
def push(heap, size, item):
    place = size
    while place and heap[(place - 1) // 2] > item:
        heap[place] = heap[(place - 1) // 2]
        place = (place - 1) // 2
    heap[place] = item
    return size + 1


@kernel(integer(u8, integer, integer, merges_type, scratch_type, u32, integer))
@no_type_check
def encode_long(data, start, length, merges, scratch, out, used):
    """As `encode_short`, with `reference.encode_word`'s heap; an item is the merge's symbol, then the position."""
    byte_symbols, keys, values, ids = merges
    symbol, following, preceding, heap = scratch
    for i in range(length):
        symbol[i] = byte_symbols[data[start + i]]
        following[i], preceding[i] = i + 1, i - 1
    size = 0
    for i in range(length - 1):
        made = joined(keys, values, symbol[i], symbol[i + 1])
        if made != _NEVER:
            heap[size] = made << 32 | i
            size += 1
    for place in range(size // 2 - 1, -1, -1):
        sift_down(heap, place, size)
    while size:
        new, p = heap[0] >> 32, heap[0] & 0xFFFFFFFF
        size -= 1
        heap[0] = heap[size]
        if size:
            sift_down(heap, 0, size)
        after = np.int64(following[p])
        if symbol[p] < 0 or after >= length or joined(keys, values, symbol[p], symbol[after]) != new:
            continue
        before, beyond = np.int64(preceding[p]), np.int64(following[after])
        symbol[p], symbol[after], following[p] = new, -1, beyond
        if beyond < length:
            preceding[beyond] = p
            made = joined(keys, values, new, symbol[beyond])
            if made != _NEVER:
                size = push(heap, size, made << 32 | p)
        if before >= 0:
            made = joined(keys, values, symbol[before], new)
            if made != _NEVER:
                size = push(heap, size, made << 32 | before)
    written = i = 0
    while i < length:
        out[used + written] = ids[symbol[i]]
        written += 1
        i = np.int64(following[i])
    return written


@kernel(scratch_type(integer))
@no_type_check
def new_scratch(size):
    """Room for words of `size` bytes. Each merge takes one item from the heap and adds at most two."""
    return np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int32), np.empty(2 * size, np.int64)


@kernel(types.void(cache_type))
@no_type_check
def empty_cache(cache):
    cache[0][:] = 0
    cache[5][:] = 0


@kernel(types.void(u8, i64, i64, automaton_type, i32, merges_type, cache_type, u32, i64))
@no_type_check
def encode(  # noqa: C901  (one loop, which numba compiles whole)
    data, segments, specials, automaton, boundaries, merges, cache, out, ends
):
    """Write to `out` the tokens of the segments [segments[2k], segments[2k + 1]) of `data`, each followed by the special
    token specials[k] unless that is negative; ends[k] is where they end. `out` has room for a token a byte and segment.
    """
    keys, values, places, spelled, tokens, held = cache
    state = np.zeros(6, np.int64)
    scratch = new_scratch(LONGEST_CACHED)
    used = 0
    for k in range(segments.size // 2):
        start, stop = segments[2 * k], segments[2 * k + 1]
        state[:] = start
        state[1] = state[5] = 0
        while state[5] == 0 and start < stop:
            found = split_block(data, stop, automaton, state, boundaries)
            for b in range(found):
                end = np.int64(boundaries[b])
                length = end - start
                if length > LONGEST_CACHED:
                    if length > scratch[0].size:
                        scratch = new_scratch(length)
                    used += encode_long(data, start, length, merges, scratch, out, used)
                    start = end
                    continue
                key = word_key(data, start, length)
                slot = home(key, CACHE_SLOTS)
                while keys[slot] != 0:
                    if keys[slot] == key and (length < 8 or same_bytes(data, start, spelled, places[slot], length)):
                        break
                    slot = (slot + 1) & (CACHE_SLOTS - 1)
                if keys[slot] != 0:
                    number, value = values[slot] & 255, values[slot] >> 8
                    if number == 1:
                        out[used] = value
                        used += 1
                    else:
                        for i in range(number):
                            out[used + i] = tokens[value + i]
                        used += number
                    start = end
                    continue
                if length <= LONGEST_SCANNED:
                    number = encode_short(data, start, length, merges, scratch, out, used)
                else:
                    number = encode_long(data, start, length, merges, scratch, out, used)
                if 2 * held[0] >= CACHE_SLOTS or max(held[1], held[2]) + LONGEST_CACHED > CACHE_BYTES:
                    empty_cache(cache)
                    slot = home(key, CACHE_SLOTS)
                keys[slot] = key
                held[0] += 1
                if length >= 8:
                    places[slot] = held[1]
                    spelled[held[1] : held[1] + length] = data[start:end]
                    held[1] += length
                if number == 1:
                    values[slot] = np.int64(out[used]) << 8 | 1
                else:
                    values[slot] = held[2] << 8 | number
                    tokens[held[2] : held[2] + number] = out[used : used + number]
                    held[2] += number
                used += number
                start = end
        if specials[k] >= 0:
            out[used] = specials[k]
            used += 1
        ends[k] = used
