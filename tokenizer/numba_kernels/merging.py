"""Kernel for learning merges: `reference.learn_merges` on flat arrays.

A slot is one pair. Each position has the slot of the pair that begins there, so an occurrence of a slot is stale exactly
where its position has another. A pair that contains the newest symbol is born in that symbol's own step:
`slot_before[x]` and `slot_after[y]` find the slots of (x, new) and (new, y), and no map of all pairs is needed.
"""

# mypy: disallow-untyped-decorators=False, disallow-untyped-defs=False, disallow-untyped-calls=False

from typing import no_type_check

import numpy as np
from numba import types

from gpt_from_scratch.tokenizer.numba_kernels.compiling import helper, i32, i64, integer, kernel, u8

LOWEST_IDS, LEXICOGRAPHIC, FIRST = 0, 1, 2
TIE_BREAKS = {"lowest-ids": LOWEST_IDS, "lexicographic": LEXICOGRAPHIC, "first": FIRST}

# Few arrays, each with all that belongs together side by side: memory is what merging waits for, and numba counts a
# reference to every array at every call.
PAIR, COUNT, BEGIN, END = range(4)
"""Where in `slots[4 * slot :]` lie the slot's pair (left << 32 | right), its count, and where its occurrences begin and end
in the arena."""
FIELDS = 5
SYMBOL, NEXT, PREVIOUS, WORD, SLOT = range(FIELDS)
"""Where in `chain[FIELDS * position :]` lie the position's symbol, the next and the previous position in its word (-1:
none), the word's number, and the slot of the pair that begins there (-1: none)."""


@kernel(integer(u8, i64, integer, integer))
@no_type_check
def compare_spelling(letters, starts, a, b):
    """Positive if symbol a's bytes are greater than b's, 0 if they are the same, else negative."""
    length_a, length_b = starts[a + 1] - starts[a], starts[b + 1] - starts[b]
    for i in range(min(length_a, length_b)):
        difference = np.int64(letters[starts[a] + i]) - np.int64(letters[starts[b] + i])
        if difference != 0:
            return difference
    return length_a - length_b


@helper(types.boolean(integer, integer, integer, integer, integer, integer, i64, u8, i64, integer))
@no_type_check
def goes_before(count, tie, slot, other_count, other_tie, other_slot, slots, letters, starts, tie_break):
    """Whether the first of two heap items is to be merged before the second."""
    if count != other_count:
        return count > other_count
    if tie_break == LEXICOGRAPHIC:
        pair, other = slots[4 * slot + PAIR], slots[4 * other_slot + PAIR]
        by_left = compare_spelling(letters, starts, pair >> 32, other >> 32)
        return by_left > 0 or (
            by_left == 0 and compare_spelling(letters, starts, pair & 0xFFFFFFFF, other & 0xFFFFFFFF) > 0
        )
    return tie < other_tie


@kernel(types.void(i64, integer, integer, integer, integer, i64, u8, i64, integer))
@no_type_check
def sift_down(heap, size, count, tie, slot, slots, letters, starts, tie_break):
    """Put an item in the place of the heap's first, or where it belongs below.

    The heap has four children a node, and an item three numbers: a slot's count when it was noted, what decides a tie
    (the smaller goes first), and the slot: all that a comparison needs.
    """
    place = 0
    while True:
        best = child = 4 * place + 1
        if child >= size:
            break
        for c in range(child + 1, min(child + 4, size)):
            if goes_before(
                heap[3 * c],
                heap[3 * c + 1],
                heap[3 * c + 2],
                heap[3 * best],
                heap[3 * best + 1],
                heap[3 * best + 2],
                slots,
                letters,
                starts,
                tie_break,
            ):
                best = c
        if not goes_before(
            heap[3 * best], heap[3 * best + 1], heap[3 * best + 2], count, tie, slot, slots, letters, starts, tie_break
        ):
            break
        for field in range(3):
            heap[3 * place + field] = heap[3 * best + field]
        place = best
    heap[3 * place], heap[3 * place + 1], heap[3 * place + 2] = count, tie, slot


@kernel(integer(integer, i64, i32, i32, integer))
@no_type_check
def tie_of(slot, slots, chain, arena, tie_break):
    """What decides between this slot and others of the same count: its pair (which nothing asks for if spelling decides),
    or its first occurrence that is not stale; what is stale before that is dropped for good."""
    if tie_break != FIRST:
        return slots[4 * slot + PAIR]
    begin, end = slots[4 * slot + BEGIN], slots[4 * slot + END]
    while begin < end and chain[FIELDS * np.int64(arena[begin]) + SLOT] != slot:
        begin += 1
    slots[4 * slot + BEGIN] = begin
    return np.int64(arena[begin]) if begin < end else 0


@kernel(i64(i64, integer, integer, integer, i64, u8, i64, integer))
@no_type_check
def note(heap, size, slot, tie, slots, letters, starts, tie_break):
    """The heap with a slot added, at its present count."""
    if 3 * size == heap.size:
        heap = np.concatenate((heap, np.empty(heap.size, np.int64)))
    count = slots[4 * slot + COUNT]
    place = size
    while place:
        parent = (place - 1) // 4
        if not goes_before(
            count,
            tie,
            slot,
            heap[3 * parent],
            heap[3 * parent + 1],
            heap[3 * parent + 2],
            slots,
            letters,
            starts,
            tie_break,
        ):
            break
        for field in range(3):
            heap[3 * place + field] = heap[3 * parent + field]
        place = parent
    heap[3 * place], heap[3 * place + 1], heap[3 * place + 2] = count, tie, slot
    return heap


@kernel(u8(u8, i64, integer, integer, integer))
@no_type_check
def spell(letters, starts, a, b, new):
    """All spellings with that of symbol `new`, made of a and b, added."""
    begin, length_a, length_b = starts[new], starts[a + 1] - starts[a], starts[b + 1] - starts[b]
    if begin + length_a + length_b > letters.size:
        letters = np.concatenate((letters, np.zeros(letters.size + length_a + length_b, np.uint8)))
    letters[begin : begin + length_a] = letters[starts[a] : starts[a] + length_a]
    letters[begin + length_a : begin + length_a + length_b] = letters[starts[b] : starts[b] + length_b]
    starts[new + 1] = begin + length_a + length_b
    return letters


@kernel(i32(i64, i32, u8, i32))
@no_type_check
def lay_out(starts, lengths, spelled, byte_symbols):
    """All words' symbols one after another, each with its neighbours in the word (-1: none) and the word's number."""
    size = 0
    for length in lengths:
        size += np.int64(length)
    chain = np.empty(FIELDS * size, np.int32)
    position = 0
    for word in range(starts.size):
        begin, end = position, position + lengths[word]
        for position in range(begin, end):
            at = FIELDS * position
            chain[at + SYMBOL] = byte_symbols[spelled[starts[word] + position - begin]]
            chain[at + NEXT] = position + 1 if position + 1 < end else -1
            chain[at + PREVIOUS] = position - 1 if position > begin else -1
            chain[at + WORD] = word
            chain[at + SLOT] = -1
        position = end
    return chain


@kernel(types.Tuple((i32, integer))(i64, integer, integer, i32, integer, i32, i32, integer))
@no_type_check
def file_occurrences(slots, first_slot, stop_slot, born, num_born, chain, arena, used):
    """Put the occurrences that were born (position, slot, position, slot, …) and are not stale into the arena, slot by slot.

    They come in ascending order of position for each slot, and stay so. Returns the arena and how much is used.
    """
    if used + num_born > arena.size:
        arena = np.concatenate((arena, np.empty(max(arena.size, num_born), np.int32)))
    for e in range(num_born):
        slot = np.int64(born[2 * e + 1])
        slots[4 * slot + END] += chain[FIELDS * np.int64(born[2 * e]) + SLOT] == slot
    for slot in range(first_slot, stop_slot):
        slots[4 * slot + BEGIN] = used
        used += slots[4 * slot + END]
        slots[4 * slot + END] = slots[4 * slot + BEGIN]
    for e in range(num_born):
        slot = np.int64(born[2 * e + 1])
        if chain[FIELDS * np.int64(born[2 * e]) + SLOT] == slot:
            arena[slots[4 * slot + END]] = born[2 * e]
            slots[4 * slot + END] += 1
    return arena, used


@helper(types.void(i64, integer, integer))
@no_type_check
def new_slot(slots, slot, pair):
    slots[4 * slot + PAIR] = pair
    slots[4 * slot + COUNT] = slots[4 * slot + BEGIN] = slots[4 * slot + END] = 0


@kernel(types.UniTuple(integer, 2)(integer, integer, i32, i64, i64, integer, i32, i32, i32, i32))
@no_type_check
def merge_everywhere(slot, new, chain, counts, slots, num_slots, arena, slot_before, slot_after, born):
    """Make every occurrence of `slot` the symbol `new`; the number of slots then, and of occurrences born."""
    num_born = 0
    for i in range(slots[4 * slot + BEGIN], slots[4 * slot + END]):
        p = FIELDS * np.int64(arena[i])
        if chain[p + SLOT] != slot:
            continue
        after, before = FIELDS * np.int64(chain[p + NEXT]), np.int64(chain[p + PREVIOUS])
        beyond = np.int64(chain[after + NEXT])
        times = counts[chain[p + WORD]]
        if before >= 0:
            b = FIELDS * before
            slots[4 * np.int64(chain[b + SLOT]) + COUNT] -= times
            x = np.int64(chain[b + SYMBOL])
            if slot_before[x] < 0:
                new_slot(slots, num_slots, x << 32 | new)
                slot_before[x] = num_slots
                num_slots += 1
            made = np.int64(slot_before[x])
            slots[4 * made + COUNT] += times
            chain[b + SLOT] = made
            born[2 * num_born], born[2 * num_born + 1] = before, made
            num_born += 1
        if beyond >= 0:
            slots[4 * np.int64(chain[after + SLOT]) + COUNT] -= times
            y = np.int64(chain[FIELDS * beyond + SYMBOL])
            if slot_after[y] < 0:
                new_slot(slots, num_slots, new << 32 | y)
                slot_after[y] = num_slots
                num_slots += 1
            made = np.int64(slot_after[y])
            slots[4 * made + COUNT] += times
            chain[p + SLOT] = made
            born[2 * num_born], born[2 * num_born + 1] = arena[i], made
            num_born += 1
            chain[FIELDS * beyond + PREVIOUS] = arena[i]
        else:
            chain[p + SLOT] = -1
        chain[after + SLOT] = -1
        chain[p + SYMBOL] = new
        chain[p + NEXT] = beyond
    return num_slots, num_born


@kernel(i32(i32, i64, i32, integer, integer))
@no_type_check
def learn_merges(  # noqa: C901  (one loop, which numba compiles whole)
    chain, counts, byte_symbols, num_merges, tie_break
):
    """The merges as left, right, left, right, … in order. `counts` are the words'; the chain is used up."""
    size = chain.size // FIELDS
    slot_before = np.full(256 + num_merges, -1, np.int32)
    slot_after = np.full(256 + num_merges, -1, np.int32)
    letters, starts = np.zeros(1 << 16, np.uint8), np.zeros(257 + num_merges, np.int64)
    for byte in range(256):
        letters[byte_symbols[byte]] = byte
        starts[byte + 1] = byte + 1

    slots, num_slots = np.zeros(4 << 16, np.int64), 0
    of_bytes = np.full(1 << 16, -1, np.int32)
    born, num_born = np.empty(2 * size, np.int32), 0
    for p in range(size):
        at = FIELDS * p
        if chain[at + NEXT] >= 0:
            left, right = np.int64(chain[at + SYMBOL]), np.int64(chain[at + FIELDS + SYMBOL])
            if of_bytes[left << 8 | right] < 0:
                new_slot(slots, num_slots, left << 32 | right)
                of_bytes[left << 8 | right] = num_slots
                num_slots += 1
            slot = np.int64(of_bytes[left << 8 | right])
            chain[at + SLOT] = slot
            slots[4 * slot + COUNT] += counts[chain[at + WORD]]
            born[2 * num_born], born[2 * num_born + 1] = p, slot
            num_born += 1
    arena, used = file_occurrences(slots, 0, num_slots, born, num_born, chain, np.empty(2 * size + 1, np.int32), 0)

    # Only pairs of at least `threshold` are in the heap; when it is empty the threshold falls. This keeps it small.
    heap, heap_size, threshold = np.empty(3 << 10, np.int64), 0, np.int64(1) << 62
    merges, done = np.empty(2 * num_merges, np.int32), 0
    while done < num_merges:
        if heap_size == 0:
            if threshold == 1:
                break
            highest = np.int64(0)
            for slot in range(num_slots):
                highest = max(highest, slots[4 * slot + COUNT])
            if highest == 0:
                break
            threshold = max(highest // 4, 1)
            for slot in range(num_slots):
                if slots[4 * slot + COUNT] >= threshold:
                    tie = tie_of(slot, slots, chain, arena, tie_break)
                    heap = note(heap, heap_size, slot, tie, slots, letters, starts, tie_break)
                    heap_size += 1
            continue
        # What is out of date is put right at the top: counts only fall, and first positions only rise.
        slot, count = heap[2], slots[4 * heap[2] + COUNT]
        stale, tie = count != heap[0], heap[1]
        if tie_break == FIRST and count >= threshold:
            tie = tie_of(slot, slots, chain, arena, tie_break)
            stale = stale or tie != heap[1]
        if stale and count >= threshold:
            sift_down(heap, heap_size, count, tie, slot, slots, letters, starts, tie_break)
            continue
        heap_size -= 1
        if heap_size:
            last = 3 * heap_size
            sift_down(heap, heap_size, heap[last], heap[last + 1], heap[last + 2], slots, letters, starts, tie_break)
        if stale:
            continue

        a, b, new = slots[4 * slot + PAIR] >> 32, slots[4 * slot + PAIR] & 0xFFFFFFFF, 256 + done
        merges[2 * done], merges[2 * done + 1] = a, b
        done += 1
        if tie_break == LEXICOGRAPHIC:
            letters = spell(letters, starts, a, b, new)
        most = 2 * (slots[4 * slot + END] - slots[4 * slot + BEGIN])
        if 2 * most > born.size:
            born = np.empty(2 * most, np.int32)
        if 4 * (num_slots + most) > slots.size:
            slots = np.concatenate((slots, np.zeros(max(slots.size, 4 * most), np.int64)))
        old_slots = num_slots
        num_slots, num_born = merge_everywhere(
            slot, new, chain, counts, slots, num_slots, arena, slot_before, slot_after, born
        )
        slots[4 * slot + COUNT] = 0
        arena, used = file_occurrences(slots, old_slots, num_slots, born, num_born, chain, arena, used)
        for slot in range(old_slots, num_slots):
            pair = slots[4 * slot + PAIR]
            slot_before[pair >> 32] = slot_after[pair & 0xFFFFFFFF] = -1
            if slots[4 * slot + COUNT] >= threshold:
                tie = tie_of(slot, slots, chain, arena, tie_break)
                heap = note(heap, heap_size, slot, tie, slots, letters, starts, tie_break)
                heap_size += 1
    return merges[: 2 * done].copy()
