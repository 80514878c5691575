"""The reduced alphabet of a split pattern: characters that the pattern does not distinguish are one symbol."""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt16

from gpt_from_scratch.tokenizer.splitting.unicode_table import CODE_POINTS, KINDS, PROPERTIES, kinds

Symbols = frozenset[int]


class Cell(NamedTuple):
    """The characters from `low` to before `high` that are of one kind."""

    low: int
    high: int
    kind: int


class Alphabet(NamedTuple):
    """Symbol numbers: ASCII characters are themselves, then come the cells, then the text's end."""

    cells: tuple[Cell, ...]

    @classmethod
    def of(cls, named: set[int]) -> "Alphabet":
        """The alphabet in which each of the code points `named` is a symbol, and so is each range between two of them."""
        edges = sorted({128, CODE_POINTS} | named | {point + 1 for point in named})
        cells = [
            Cell(low, high, int(kind))
            for low, high in itertools.pairwise(edges)
            for kind in np.flatnonzero(np.bincount(kinds()[low:high]))
        ]
        return cls(tuple(cells))

    @property
    def end(self) -> int:
        return 128 + len(self.cells)

    def symbol_of_code_point(self) -> UInt16[np.ndarray, " code_points"]:
        """The symbol of every character."""
        symbols = np.arange(CODE_POINTS, dtype=np.uint16)
        table = kinds()
        numbers: dict[tuple[int, int], list[int]] = {}
        for number, cell in enumerate(self.cells, start=128):
            numbers.setdefault(cell[:2], [0] * len(KINDS))[cell.kind] = number
        for (low, high), by_kind in numbers.items():
            symbols[low:high] = np.array(by_kind, dtype=np.uint16)[table[low:high]]
        return symbols

    def between(self, low: int, high: int) -> Symbols:
        """The symbols of the characters from `low` to `high`, which are ASCII or named."""
        cells = (number for number, cell in enumerate(self.cells, start=128) if low <= cell.low <= high)
        return frozenset(range(low, min(high, 127) + 1)) | frozenset(cells)

    def property(self, name: str) -> Symbols:
        """All symbols of a property (of "L" or "s", say)."""
        letters, table = PROPERTIES[name], kinds()
        members = {code for code in range(128) if KINDS[table[code]] in letters}
        return frozenset(members | {n for n, cell in enumerate(self.cells, start=128) if KINDS[cell.kind] in letters})

    def everything(self) -> Symbols:
        return frozenset(range(self.end))
