"""Reference of byte pair encoding: the readable definition, used for small inputs and for testing the kernels.

A text is split into words, a word into bytes; each byte is a *symbol*. Training repeats one step: find the pair of
neighbouring symbols that is most frequent over all words, and make it one new symbol. Encoding a word replays the
merges, the earliest first. (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909; on bytes: Radford et al. 2019.)

Both are linear, up to a logarithm, in the number of symbols, whatever the text.
"""

import heapq
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

Pair = tuple[int, int]
TieBreak = Literal["lowest-ids", "lexicographic", "first"]
TIE_BREAKS: tuple[TieBreak, ...] = get_args(TieBreak)


def learn_merges(  # noqa: C901  (the definition, to be read in one piece)
    words: Mapping[bytes, int], num_merges: int, byte_symbols: Sequence[int], tie_break: TieBreak = "lowest-ids"
) -> list[Pair]:
    """The first `num_merges` merges (fewer if no pair is left); merge number k makes symbol 256 + k.

    `words` are the distinct words in order of first appearance, with their counts; `byte_symbols[b]` is byte b's
    symbol. Among the most frequent pairs the one taken is, by `tie_break`: "lowest-ids", the smallest (left, right);
    "lexicographic", the greatest (bytes of left, bytes of right); "first", the one whose first occurrence is earliest.

    Every symbol has a position; merging moves nothing, so a pair's occurrences are a list of positions in ascending
    order. A pair that contains the newest symbol can only be born in that symbol's own step, so a list is written in
    one step and afterwards only goes stale: an occurrence counts while its two symbols are still there.
    """
    symbol, following, preceding, weight = _lay_out(words, byte_symbols)
    count: dict[Pair, int] = {}
    occurrences: dict[Pair, list[int]] = {}
    for position, left in enumerate(symbol):
        if (after := following[position]) >= 0:
            pair = (left, symbol[after])
            count[pair] = count.get(pair, 0) + weight[position]
            occurrences.setdefault(pair, []).append(position)

    spelling = {byte_symbols[byte]: bytes([byte]) for byte in range(256)}

    def first_position(pair: Pair) -> int:
        left, right = pair
        return next(p for p in occurrences[pair] if symbol[p] == left and symbol[following[p]] == right)

    def entry(pair: Pair) -> tuple[int, object, Pair]:
        if tie_break == "lowest-ids":
            return -count[pair], pair, pair
        if tie_break == "first":
            return -count[pair], first_position(pair), pair
        return -count[pair], (_descending(spelling[pair[0]]), _descending(spelling[pair[1]])), pair

    # Counts only fall and first positions only rise, so an entry that is out of date is too high in the heap, never
    # too low: it is put right when it reaches the top.
    heap = [entry(pair) for pair in count]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < num_merges:
        pair = heap[0][-1]
        if count[pair] == 0:
            heapq.heappop(heap)
            continue
        if (current := entry(pair)) != heap[0]:
            heapq.heapreplace(heap, current)
            continue
        heapq.heappop(heap)
        left, right = pair
        new = 256 + len(merges)
        merges.append(pair)
        spelling[new] = spelling[left] + spelling[right]
        born: dict[Pair, list[int]] = {}
        for p in occurrences.pop(pair):
            after = following[p]
            if symbol[p] != left or after < 0 or symbol[after] != right:
                continue  # stale: one of the two has been merged away since
            before, beyond, times = preceding[p], following[after], weight[p]
            if before >= 0:
                count[symbol[before], left] -= times
                made = (symbol[before], new)
                count[made] = count.get(made, 0) + times
                born.setdefault(made, []).append(before)
            if beyond >= 0:
                count[right, symbol[beyond]] -= times
                made = (new, symbol[beyond])
                count[made] = count.get(made, 0) + times
                born.setdefault(made, []).append(p)
                preceding[beyond] = p
            symbol[p], symbol[after], following[p] = new, -1, beyond
        del count[pair]
        occurrences.update(born)
        for made in born:
            if count[made]:
                heapq.heappush(heap, entry(made))
    return merges


def _lay_out(
    words: Mapping[bytes, int], byte_symbols: Sequence[int]
) -> tuple[list[int], list[int], list[int], list[int]]:
    """All words' symbols one after another, each with its neighbours in the word (-1: none) and the word's count."""
    symbol: list[int] = []
    following: list[int] = []
    preceding: list[int] = []
    weight: list[int] = []
    for word, times in words.items():
        if len(word) < 2:
            continue
        start = len(symbol)
        symbol.extend(byte_symbols[byte] for byte in word)
        following.extend(range(start + 1, start + len(word)))
        following.append(-1)
        preceding.append(-1)
        preceding.extend(range(start, start + len(word) - 1))
        weight.extend([times] * len(word))
    return symbol, following, preceding, weight


def _descending(spelling: bytes) -> tuple[int, ...]:
    """A key that sorts byte strings from the greatest to the smallest (a prefix is smaller than what it begins)."""
    return (*(255 - byte for byte in spelling), 256)


def encode_word(symbols: Sequence[int], ranks: Mapping[Pair, int]) -> list[int]:
    """The symbols of one word after all merges: the pair of lowest rank first, from left to right among equals.

    `ranks[left, right]` is the symbol the pair becomes, and the order of the merges at once.
    """
    symbol = list(symbols)
    size = len(symbol)
    following = list(range(1, size + 1))
    preceding = list(range(-1, size - 1))
    heap = []
    for p in range(size - 1):
        if (new := ranks.get((symbol[p], symbol[p + 1]))) is not None:
            heap.append((new, p))
    heapq.heapify(heap)
    while heap:
        new, p = heapq.heappop(heap)
        after = following[p]
        if after >= size or ranks.get((symbol[p], symbol[after])) != new:
            continue  # stale: merged away, or its right neighbour has changed
        before, beyond = preceding[p], following[after]
        symbol[p], symbol[after], following[p] = new, -1, beyond
        if beyond < size:
            preceding[beyond] = p
            if (made := ranks.get((new, symbol[beyond]))) is not None:
                heapq.heappush(heap, (made, p))
        if before >= 0 and (made := ranks.get((symbol[before], new))) is not None:
            heapq.heappush(heap, (made, before))
    return [one for one in symbol if one >= 0]
