"""Learning merges: `reference.learn_merges` on flat arrays.

A slot is one pair. `slot_of[p]` is the slot of the pair that begins at position p (-1: none), so an occurrence of slot s
at p is stale exactly where slot_of[p] != s. A pair that contains the newest symbol is born in that symbol's own step:
`slot_before[x]` and `slot_after[y]` find the slots of (x, new) and (new, y), and no map of all pairs is needed.
"""

# mypy: disallow-untyped-decorators=False, disallow-untyped-defs=False, disallow-untyped-calls=False

from typing import no_type_check

import numpy as np
from numba import types

from gpt_from_scratch.tokenizer.numba_kernels.compiling import i32, i64, integer, kernel, u8

LOWEST_IDS, LEXICOGRAPHIC, FIRST = 0, 1, 2
TIE_BREAKS = {"lowest-ids": LOWEST_IDS, "lexicographic": LEXICOGRAPHIC, "first": FIRST}

slots_type = types.Tuple((i32, i32, i64, i64, i32, i64, i64))
"""By slot: left symbol, right symbol, count; the count noted in the heap (0: not there) and the first position noted;
and where its occurrences begin and end in the arena."""
chain_type = types.UniTuple(i32, 4)
"""By position: symbol, next and previous position in the word (-1: none), number of the word."""
spelling_type = types.Tuple((u8, i64))
"""All symbols' bytes one after another, and where those of each symbol begin."""


@kernel(integer(spelling_type, integer, integer))
@no_type_check
def compare_spelling(spelling, a, b):
    """Positive if symbol a's bytes are greater than b's, 0 if they are the same, else negative."""
    letters, starts = spelling
    length_a, length_b = starts[a + 1] - starts[a], starts[b + 1] - starts[b]
    for i in range(min(length_a, length_b)):
        difference = np.int64(letters[starts[a] + i]) - np.int64(letters[starts[b] + i])
        if difference != 0:
            return difference
    return length_a - length_b


# The heap's functions take single arrays, not `slots_type`: unpacking a tuple counts references, at every comparison.
@kernel(types.boolean(i32, i32, i64, i32, spelling_type, integer, integer, integer), inline=True)
@no_type_check
def goes_before(left, right, noted, first, spelling, tie_break, s, t):
    """Whether slot s is to be merged before slot t, by what is noted in the heap."""
    if noted[s] != noted[t]:
        return noted[s] > noted[t]
    if tie_break == FIRST:
        return first[s] < first[t]
    if tie_break == LEXICOGRAPHIC:
        by_left = compare_spelling(spelling, left[s], left[t])
        return by_left > 0 or (by_left == 0 and compare_spelling(spelling, right[s], right[t]) > 0)
    return left[s] < left[t] or (left[s] == left[t] and right[s] < right[t])


@kernel(types.void(i32, integer, integer, i32, i32, i64, i32, spelling_type, integer))
@no_type_check
def sift_down(heap, place, size, left, right, noted, first, spelling, tie_break):
    slot = heap[place]
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and goes_before(
            left, right, noted, first, spelling, tie_break, heap[child + 1], heap[child]
        ):
            child += 1
        if not goes_before(left, right, noted, first, spelling, tie_break, heap[child], slot):
            break
        heap[place] = heap[child]
        place = child
    heap[place] = slot


@kernel(integer(integer, slots_type, i32, i32))
@no_type_check
def first_occurrence(slot, slots, slot_of, arena):
    """The first position of the pair that is not stale (0 if all are); what is stale before it is dropped for good."""
    _, _, _, _, _, begin, end = slots
    while begin[slot] < end[slot] and slot_of[arena[begin[slot]]] != slot:
        begin[slot] += 1
    return np.int64(arena[begin[slot]]) if begin[slot] < end[slot] else 0


@kernel(types.Tuple((i32, integer))(i32, integer, integer, slots_type, i32, i32, spelling_type, integer))
@no_type_check
def note(heap, size, slot, slots, slot_of, arena, spelling, tie_break):
    """Add a slot to the heap, with its present count and first position noted. Returns the heap and its size."""
    if size == heap.size:
        heap = np.concatenate((heap, np.empty(size, np.int32)))
    left, right, count, noted, first, _, _ = slots
    noted[slot] = count[slot]
    if tie_break == FIRST:
        first[slot] = first_occurrence(slot, slots, slot_of, arena)
    place = size
    while place and goes_before(left, right, noted, first, spelling, tie_break, slot, heap[(place - 1) // 2]):
        heap[place] = heap[(place - 1) // 2]
        place = (place - 1) // 2
    heap[place] = slot
    return heap, size + 1


@kernel(spelling_type(spelling_type, integer, integer, integer))
@no_type_check
def spell(spelling, a, b, new):
    """The spelling with that of symbol `new`, made of a and b, added."""
    letters, starts = spelling
    begin, length_a, length_b = starts[new], starts[a + 1] - starts[a], starts[b + 1] - starts[b]
    if begin + length_a + length_b > letters.size:
        letters = np.concatenate((letters, np.zeros(letters.size + length_a + length_b, np.uint8)))
    letters[begin : begin + length_a] = letters[starts[a] : starts[a] + length_a]
    letters[begin + length_a : begin + length_a + length_b] = letters[starts[b] : starts[b] + length_b]
    starts[new + 1] = begin + length_a + length_b
    return letters, starts


@kernel(chain_type(i64, i32, u8, i32))
@no_type_check
def lay_out(starts, lengths, spelled, byte_symbols):
    """All words' symbols one after another, each with its neighbours in the word (-1: none) and the word's number."""
    size = 0
    for length in lengths:
        size += np.int64(length)
    symbol, word_of = np.empty(size, np.int32), np.empty(size, np.int32)
    following, preceding = np.empty(size, np.int32), np.empty(size, np.int32)
    position = 0
    for word in range(starts.size):
        begin, end = position, position + lengths[word]
        for position in range(begin, end):
            symbol[position] = byte_symbols[spelled[starts[word] + position - begin]]
            word_of[position] = word
            following[position] = position + 1 if position + 1 < end else -1
            preceding[position] = position - 1 if position > begin else -1
        position = end
    return symbol, following, preceding, word_of


@kernel(slots_type())
@no_type_check
def empty_slots():
    nothing32, nothing64 = np.zeros(0, np.int32), np.zeros(0, np.int64)
    return nothing32, nothing32, nothing64, nothing64, nothing32, nothing64, nothing64


@kernel(slots_type(slots_type, integer))
@no_type_check
def with_room(slots, needed):
    """The slots with room for at least `needed`."""
    left, right, count, noted, first, begin, end = slots
    if needed <= left.size:
        return slots
    extra = max(needed - left.size, left.size)
    more32, more64 = np.zeros(extra, np.int32), np.zeros(extra, np.int64)
    return (
        np.concatenate((left, more32)),
        np.concatenate((right, more32)),
        np.concatenate((count, more64)),
        np.concatenate((noted, more64)),
        np.concatenate((first, more32)),
        np.concatenate((begin, more64)),
        np.concatenate((end, more64)),
    )


@kernel(types.void(slots_type, integer, integer, integer), inline=True)
@no_type_check
def new_slot(slots, slot, left, right):
    slots[0][slot], slots[1][slot] = left, right
    slots[2][slot] = slots[3][slot] = slots[4][slot] = slots[5][slot] = slots[6][slot] = 0


@kernel(types.Tuple((i32, integer))(slots_type, integer, integer, i32, i32, integer, i32, i32, integer))
@no_type_check
def file_occurrences(slots, first_slot, stop_slot, positions, slot_at, events, slot_of, arena, used):
    """Put the events (an occurrence of slot_at[e] at positions[e]) that are not stale into the arena, slot by slot.

    The events come in ascending order of position for each slot, and stay so. Returns the arena and how much is used.
    """
    _, _, _, _, _, begin, end = slots
    if used + events > arena.size:
        arena = np.concatenate((arena, np.empty(max(arena.size, events), np.int32)))
    for e in range(events):
        end[slot_at[e]] += slot_of[positions[e]] == slot_at[e]
    for slot in range(first_slot, stop_slot):
        begin[slot] = used
        used += end[slot]
        end[slot] = begin[slot]
    for e in range(events):
        slot = slot_at[e]
        if slot_of[positions[e]] == slot:
            arena[end[slot]] = positions[e]
            end[slot] += 1
    return arena, used


@kernel(
    types.UniTuple(integer, 2)(integer, integer, chain_type, i64, slots_type, integer, i32, i32, i32, i32, i32, i32)
)
@no_type_check
def merge_everywhere(
    slot, new, chain, counts, slots, num_slots, slot_of, arena, slot_before, slot_after, positions, slot_at
):
    """Make every occurrence of `slot` the symbol `new`; the number of slots then, and of events (occurrences born)."""
    symbol, following, preceding, word_of = chain
    _, _, count, _, _, begin, end = slots
    events = 0
    for i in range(begin[slot], end[slot]):
        p = arena[i]
        if slot_of[p] != slot:
            continue
        after, before = following[p], preceding[p]
        beyond = following[after]
        times = counts[word_of[p]]
        if before >= 0:
            count[slot_of[before]] -= times
            x = symbol[before]
            if slot_before[x] < 0:
                new_slot(slots, num_slots, x, new)
                slot_before[x] = num_slots
                num_slots += 1
            count[slot_before[x]] += times
            slot_of[before] = slot_before[x]
            positions[events], slot_at[events] = before, slot_before[x]
            events += 1
        if beyond >= 0:
            count[slot_of[after]] -= times
            y = symbol[beyond]
            if slot_after[y] < 0:
                new_slot(slots, num_slots, new, y)
                slot_after[y] = num_slots
                num_slots += 1
            count[slot_after[y]] += times
            slot_of[p] = slot_after[y]
            positions[events], slot_at[events] = p, slot_after[y]
            events += 1
            preceding[beyond] = p
        else:
            slot_of[p] = -1
        slot_of[after] = -1
        symbol[p] = new
        following[p] = beyond
    return num_slots, events


@kernel(i32(chain_type, i64, i32, integer, integer))
@no_type_check
def learn_merges(chain, counts, byte_symbols, num_merges, tie_break):
    """The merges as left, right, left, right, … in order. `counts` are the words'; the chain is used up."""
    symbol, following, _, _ = chain
    size = symbol.size
    slot_before = np.full(256 + num_merges, -1, np.int32)
    slot_after = np.full(256 + num_merges, -1, np.int32)
    letters, spelling_starts = np.zeros(1 << 16, np.uint8), np.zeros(257 + num_merges, np.int64)
    for byte in range(256):
        letters[byte_symbols[byte]] = byte
        spelling_starts[byte + 1] = byte + 1
    spelling = (letters, spelling_starts)

    slots = with_room(empty_slots(), 1 << 16)
    slot_of, slot_at = np.full(size, -1, np.int32), np.empty(size, np.int32)
    positions = np.empty(size, np.int32)
    of_bytes = np.full(1 << 16, -1, np.int32)
    num_slots = events = 0
    for p in range(size):
        if following[p] >= 0:
            pair = symbol[p] << 8 | symbol[p + 1]
            if of_bytes[pair] < 0:
                new_slot(slots, num_slots, symbol[p], symbol[p + 1])
                of_bytes[pair] = num_slots
                num_slots += 1
            slot_of[p] = of_bytes[pair]
            slots[2][of_bytes[pair]] += counts[chain[3][p]]
            positions[events], slot_at[events] = p, slot_of[p]
            events += 1
    arena, used = file_occurrences(
        slots, 0, num_slots, positions, slot_at, events, slot_of, np.empty(2 * size + 1, np.int32), 0
    )

    # Only pairs of at least `threshold` are in the heap; when it is empty the threshold falls. This keeps it small.
    heap, heap_size, threshold = np.empty(1 << 10, np.int32), 0, np.int64(1) << 62
    merges, done = np.empty(2 * num_merges, np.int32), 0
    while done < num_merges:
        left, right, count, noted, first, begin, end = slots
        if heap_size == 0:
            if threshold == 1:
                break
            highest = np.int64(0)
            for slot in range(num_slots):
                highest = max(highest, count[slot])
            if highest == 0:
                break
            threshold = max(highest // 4, 1)
            for slot in range(num_slots):
                if count[slot] >= threshold:
                    heap, heap_size = note(heap, heap_size, slot, slots, slot_of, arena, spelling, tie_break)
            continue
        slot = heap[0]
        first_now = first_occurrence(slot, slots, slot_of, arena) if tie_break == FIRST else first[slot]
        if count[slot] < threshold:
            noted[slot] = 0
            heap_size -= 1
            heap[0] = heap[heap_size]
            sift_down(heap, 0, heap_size, left, right, noted, first, spelling, tie_break)
            continue
        if count[slot] != noted[slot] or first_now != first[slot]:
            noted[slot], first[slot] = count[slot], first_now
            sift_down(heap, 0, heap_size, left, right, noted, first, spelling, tie_break)
            continue
        heap_size -= 1
        heap[0] = heap[heap_size]
        if heap_size:
            sift_down(heap, 0, heap_size, left, right, noted, first, spelling, tie_break)

        a, b, new = left[slot], right[slot], 256 + done
        merges[2 * done], merges[2 * done + 1] = a, b
        done += 1
        if tie_break == LEXICOGRAPHIC:
            spelling = spell(spelling, a, b, new)
        events = 2 * (end[slot] - begin[slot])
        if events > positions.size:
            positions, slot_at = np.empty(events, np.int32), np.empty(events, np.int32)
        slots = with_room(slots, num_slots + events)
        old_slots = num_slots
        num_slots, events = merge_everywhere(
            slot, new, chain, counts, slots, num_slots, slot_of, arena, slot_before, slot_after, positions, slot_at
        )
        slots[2][slot] = 0
        arena, used = file_occurrences(slots, old_slots, num_slots, positions, slot_at, events, slot_of, arena, used)
        for slot in range(old_slots, num_slots):
            slot_before[slots[0][slot]] = slot_after[slots[1][slot]] = -1
            if slots[2][slot] >= threshold:
                heap, heap_size = note(heap, heap_size, slot, slots, slot_of, arena, spelling, tie_break)
    return merges[: 2 * done].copy()
