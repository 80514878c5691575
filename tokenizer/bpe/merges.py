"""The merges of a tokenizer: a list of pairs in order, and a mapping from each pair to the merged token."""

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from gpt_from_scratch.tokenizer.bpe.reference import Pair


class Merges(list[Pair]):
    """The pairs in order: `merges[k]` is merge k's pair of symbols, which becomes symbol 256 + k.

    `merges[left, right]`, `items`, `get` and `dict(merges)` are a mapping's from pairs of ids to ids, as in courses that teach
    byte pair encoding. Ids and symbols are the same but for tokenizers with `token_ids`. Not to be changed.
    """

    token_ids: Sequence[int] | None = None
    """The id of each symbol, where that is not its number."""

    @classmethod
    def of(cls, pairs: Iterable[Pair]) -> "Merges":
        """The merges; ValueError if some are not pairs of whole numbers, or a pair comes twice."""
        try:
            columns = [map(operator.index, column) for column in zip(*pairs, strict=True)]
            merges = cls(zip(*columns, strict=True)) if columns else cls()
        except (TypeError, ValueError) as error:
            raise ValueError(f"merges must be pairs of whole numbers: {error}") from None
        if len(columns) not in (0, 2):
            raise ValueError(f"merges must be pairs, not tuples of {len(columns)}")
        if len(set(merges)) != len(merges):
            raise ValueError("each pair can be merged only once")
        return merges

    @cached_property
    def id_of(self) -> dict[Pair, int]:
        """The id of each pair's merged token."""
        if (ids := self.token_ids) is None:
            return dict(zip(self, range(256, 256 + len(self)), strict=True))
        return {(ids[left], ids[right]): ids[256 + k] for k, (left, right) in enumerate(self)}

    def __getitem__(self, key: Any) -> Any:
        return self.id_of[key] if isinstance(key, tuple) else super().__getitem__(key)

    def __contains__(self, pair: object) -> bool:
        return pair in self.id_of

    def __eq__(self, other: object) -> bool:
        return self.id_of == other if isinstance(other, Mapping) else super().__eq__(other)

    __hash__ = None

    def get(self, pair: Pair, default: Any = None) -> Any:
        """The id of the pair's merged token, or `default`."""
        return self.id_of.get(pair, default)

    def keys(self) -> Iterable[Pair]:
        return self.id_of.keys()

    def values(self) -> Iterable[int]:
        return self.id_of.values()

    def items(self) -> Iterable[tuple[Pair, int]]:
        return self.id_of.items()

    def __iter__(self) -> Iterator[Pair]:
        return super().__iter__()


def whole_numbers(field: str, numbers: Iterable[Any]) -> list[int]:
    """The numbers as a list of ints; ValueError, which names the field, where one is none."""
    try:
        return list(map(operator.index, numbers))
    except TypeError as error:
        raise ValueError(f"{field} must be whole numbers: {error}") from None
