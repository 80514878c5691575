"""Learning of merges: words are counted piece by piece, then `reference.learn_merges` or its compiled twin merges them.

The words' order of first appearance is kept, over pieces and threads, since the tie break "first" depends on it.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpt_from_scratch.tokenizer.bpe import reference
from gpt_from_scratch.tokenizer.bpe.byte_buffer import ByteBuffer, to_bytes
from gpt_from_scratch.tokenizer.bpe.reference import Pair, TieBreak
from gpt_from_scratch.tokenizer.numba_kernels.loading import Kernels
from gpt_from_scratch.tokenizer.protocol import well_formed
from gpt_from_scratch.tokenizer.special_tokens import SpecialTokens
from gpt_from_scratch.tokenizer.splitting.ascii_splitter import block_splitter
from gpt_from_scratch.tokenizer.splitting.automaton import automaton
from gpt_from_scratch.tokenizer.splitting.pattern_parser import UnsupportedPatternError
from gpt_from_scratch.tokenizer.splitting.patterns import pattern_text

Progress = Callable[[str, int], None]
"""Callback with the stage and the progress: ("counting", characters so far), then ("merging", merges made)."""


@dataclass(frozen=True)
class Recipe:
    """The settings that determine the merges of a text. `raw`: see `byte_buffer.to_bytes`."""

    pattern: str
    special_tokens: SpecialTokens
    byte_symbols: Sequence[int]
    tie_break: TieBreak
    raw: bool

    def parts(self, piece: str) -> Iterable[str]:
        """Parts of a piece between its special tokens."""
        return (text for text, _ in self.special_tokens.cut(piece, self.special_tokens.all))


def learn(
    pieces: Iterable[str],
    num_merges: int,
    recipe: Recipe,
    *,
    num_threads: int,
    kernels: Kernels | None,
    progress: Progress | None,
) -> list[Pair]:
    """The merges of a text that comes in `pieces` (see `cutting`). Raises ValueError if it has no words."""
    pieces = _reported(pieces, progress)
    if kernels is None:
        merges = _learn_in_python(pieces, num_merges, recipe)
    else:
        merges = _learn_by_kernels(kernels, pieces, num_merges, recipe, num_threads)
    if progress:
        progress("merging", len(merges))
    return merges


def _reported(pieces: Iterable[str], progress: Progress | None) -> Iterator[str]:
    characters = 0
    for piece in pieces:
        yield piece
        characters += len(piece)
        if progress:
            progress("counting", characters)


def _count_in_python(pieces: Iterable[str], recipe: Recipe) -> dict[bytes, int]:
    split = block_splitter(recipe.pattern)
    counts: Counter[str] = Counter()
    for piece in pieces:
        for part in recipe.parts(piece):
            counts.update(split(part if recipe.raw else well_formed(part)))
    if not counts:
        raise _no_text()
    return {to_bytes(word, raw=True): times for word, times in counts.items()}


def _no_text() -> ValueError:
    return ValueError("the text is empty: merges cannot be learned from it")


def _learn_in_python(pieces: Iterable[str], num_merges: int, recipe: Recipe) -> list[Pair]:
    words = _count_in_python(pieces, recipe)
    return reference.learn_merges(words, num_merges, recipe.byte_symbols, recipe.tie_break)


def _learn_by_kernels(
    kernels: Kernels, pieces: Iterable[str], num_merges: int, recipe: Recipe, num_threads: int
) -> list[Pair]:
    try:
        tables = automaton(pattern_text(recipe.pattern))[:5]
    except UnsupportedPatternError:
        words = _count_in_python(pieces, recipe)
        times = np.array(list(words.values()), dtype=np.int64)
        lengths = np.array(list(map(len, words)), dtype=np.int32)
        starts = np.cumsum(lengths, dtype=np.int64) - lengths
        spelled = np.frombuffer(bytearray(b"".join(words)), dtype=np.uint8)
    else:
        _, _, times, _, starts, lengths, spelled, used = _count_by_kernels(kernels, tables, pieces, recipe, num_threads)
        times, starts, lengths = times[: used[0]], starts[: used[0]], lengths[: used[0]]
        if not used[0]:
            raise _no_text()
    if lengths.sum(dtype=np.int64) >= 1 << 31:
        raise ValueError("the distinct words have 2^31 bytes or more together: use a pattern that makes shorter words")
    symbols = np.array(recipe.byte_symbols, dtype=np.int32)
    chain = kernels.merging.lay_out(starts, lengths, spelled, symbols)
    tie_break = kernels.merging.TIE_BREAKS[recipe.tie_break]
    flat = kernels.merging.learn_merges(chain, times, symbols, num_merges, tie_break)
    return list(zip(flat[0::2].tolist(), flat[1::2].tolist(), strict=True))


def _count_by_kernels(
    kernels: Kernels, tables: tuple[Any, ...], pieces: Iterable[str], recipe: Recipe, num_threads: int
) -> Any:
    """The count table of all pieces, its words in order of first appearance."""
    counting = kernels.counting
    numbered, lock = enumerate(pieces), threading.Lock()

    def count_some() -> Any:
        # One table a thread; each thread's pieces come in ascending order, hence its words too.
        table = counting.new_count_table(1 << 12, 1 << 10, 1 << 14)
        boundaries, buffer = np.empty(kernels.splitting.BOUNDARIES, dtype=np.int32), ByteBuffer()
        while True:
            with lock:
                number, piece = next(numbered, (-1, ""))
            if number < 0:
                return table
            data, edges = buffer.fill(recipe.parts(piece), recipe.raw)
            table = counting.count_words(table, data, edges, number, tables, boundaries)

    if num_threads == 1:
        return count_some()
    with ThreadPoolExecutor(num_threads) as pool:
        found = [future.result() for future in [pool.submit(count_some) for _ in range(num_threads)]]
    # Each piece's new words are one run of one table; the runs in the order of the pieces give the whole.
    runs = []
    for table in found:
        pieces_of_words = table[3][: table[-1][0]]
        numbers, begins = np.unique(pieces_of_words, return_index=True)
        ends = [*begins.tolist(), len(pieces_of_words)][1:]
        runs += [(*run, table) for run in zip(numbers.tolist(), begins.tolist(), ends, strict=True)]
    whole = counting.new_count_table(1 << 12, 1 << 10, 1 << 14)
    for _, begin, end, table in sorted(runs, key=lambda run: run[0]):
        whole = counting.add_table(whole, table, begin, end)
    return whole
