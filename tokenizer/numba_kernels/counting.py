"""Kernel for counting the distinct words of a text."""

# mypy: disallow-untyped-decorators=False, disallow-untyped-defs=False, disallow-untyped-calls=False

from typing import no_type_check

import numpy as np
from numba import types

from gpt_from_scratch.tokenizer.numba_kernels.compiling import i32, i64, integer, kernel, u8, u64
from gpt_from_scratch.tokenizer.numba_kernels.splitting import automaton_type, split_block
from gpt_from_scratch.tokenizer.numba_kernels.words import home, same_bytes, word_key

count_table = types.Tuple((u64, i32, i64, i32, i64, i32, u8, i64))
"""By slot: key, word. By word, in order of first appearance: count, number of the chunk it first appeared in, start and
length. The words' bytes. Last: [number of words, bytes used]."""


@kernel(count_table(integer, integer, integer))
@no_type_check
def new_count_table(slots, words, size):
    return (
        np.zeros(slots, np.uint64),
        np.zeros(slots, np.int32),
        np.zeros(words, np.int64),
        np.zeros(words, np.int32),
        np.zeros(words, np.int64),
        np.zeros(words, np.int32),
        np.zeros(size, np.uint8),
        np.zeros(2, np.int64),
    )


@kernel(count_table(count_table, integer, integer))
@no_type_check
def with_room(table, words, size):
    """The table with room for so many more words and bytes; slots stay at least half empty."""
    keys, word_of, counts, chunks, starts, lengths, spelled, used = table
    if 2 * (used[0] + words) > keys.size:
        new_size = keys.size
        while new_size < 2 * (used[0] + words):
            new_size *= 2
        new_keys, new_word_of = np.zeros(new_size, np.uint64), np.zeros(new_size, np.int32)
        for slot in range(keys.size):
            if keys[slot] != 0:
                place = home(keys[slot], new_size)
                while new_keys[place] != 0:
                    place = (place + 1) & (new_size - 1)
                new_keys[place] = keys[slot]
                new_word_of[place] = word_of[slot]
        keys, word_of = new_keys, new_word_of
    if used[0] + words > counts.size:
        extra = max(counts.size, words)
        counts = np.concatenate((counts, np.zeros(extra, np.int64)))
        chunks = np.concatenate((chunks, np.zeros(extra, np.int32)))
        starts = np.concatenate((starts, np.zeros(extra, np.int64)))
        lengths = np.concatenate((lengths, np.zeros(extra, np.int32)))
    if used[1] + size + 8 > spelled.size:
        spelled = np.concatenate((spelled, np.zeros(max(spelled.size, size + 8), np.uint8)))
    return keys, word_of, counts, chunks, starts, lengths, spelled, used


@kernel(count_table(count_table, u8, integer, i32, integer, i64, i32, integer))
@no_type_check
def add_words(table, data, start, ends, number, counts_of, chunks_of, step):
    """Add the words data[start:ends[0]], data[ends[0]:ends[1]], …; word k with counts_of[k * step], chunks_of[k * step].

    One loop with all arrays unpacked: numba counts references, which would cost more than the look-up for each word.
    """
    if number == 0:
        return table
    table = with_room(table, number, ends[number - 1] - start)
    keys, word_of, counts, chunks, starts, lengths, spelled, used = table
    mask = keys.size - 1
    words, size = used[0], used[1]
    for k in range(number):
        length = ends[k] - start
        key = word_key(data, start, length)
        slot = home(key, keys.size)
        while keys[slot] != 0:
            if keys[slot] == key:
                word = word_of[slot]
                if length < 8 or (lengths[word] == length and same_bytes(data, start, spelled, starts[word], length)):
                    counts[word] += counts_of[k * step]
                    break
            slot = (slot + 1) & mask
        if keys[slot] == 0:
            keys[slot], word_of[slot] = key, words
            counts[words], chunks[words], starts[words], lengths[words] = (
                counts_of[k * step],
                chunks_of[k * step],
                size,
                length,
            )
            spelled[size : size + length] = data[start : start + length]
            words += 1
            size += length
        start = np.int64(ends[k])
    used[0], used[1] = words, size
    return table


@kernel(count_table(count_table, u8, i64, integer, automaton_type, i32))
@no_type_check
def count_words(table, data, segments, chunk, automaton, boundaries):
    """Count the words of the segments [segments[2k], segments[2k + 1]) of `data`."""
    state = np.zeros(6, np.int64)
    once, here = np.ones(1, np.int64), np.full(1, chunk, np.int32)
    for k in range(segments.size // 2):
        start, stop = segments[2 * k], segments[2 * k + 1]
        state[:] = start
        state[1] = state[5] = 0
        while state[5] == 0:
            found = split_block(data, stop, automaton, state, boundaries)
            table = add_words(table, data, start, boundaries, found, once, here, 0)
            if found:
                start = np.int64(boundaries[found - 1])
    return table


@kernel(count_table(count_table, count_table, integer, integer))
@no_type_check
def add_table(table, other, begin, end):
    """Add the words number begin to end - 1 of another table."""
    _, _, counts, chunks, starts, lengths, spelled, _ = other
    if begin == end:
        return table
    ends = np.cumsum(lengths[begin:end]).astype(np.int32)
    return add_words(table, spelled[starts[begin] :], 0, ends, end - begin, counts[begin:end], chunks[begin:end], 1)
