"""Special tokens: texts that stand for one id, and that a user's text must not be able to forge unnoticed."""

import functools
import re
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Literal

Part = tuple[str, int | None]
"""A piece of ordinary text, and the id of the special token that follows it (None: none does)."""

Choice = Literal["all"] | Collection[str]


class SpecialTokens:
    """Names and ids. Where several names begin at one place of a text, the longest is taken."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        if "" in ids:
            raise ValueError("a special token cannot be the empty text")
        if len(set(ids.values())) != len(ids):
            raise ValueError(f"special tokens must have different ids: {dict(ids)}")
        if negative := [name for name, index in ids.items() if index < 0]:
            raise ValueError(f"the special token {negative[0]!r} has a negative id, {ids[negative[0]]}")
        self.ids = dict(ids)
        self.all = frozenset(ids)
        self.names = {index: name for name, index in ids.items()}

    @classmethod
    def numbered(cls, names: Iterable[str], first: int) -> "SpecialTokens":
        """The names with the ids first, first + 1, …; ValueError if a name comes twice."""
        names = list(names)
        if len(set(names)) != len(names):
            raise ValueError(f"special tokens must differ from one another: {names}")
        return cls({name: first + index for index, name in enumerate(names)})

    def chosen(self, allowed_special: Choice, disallowed_special: Choice) -> tuple[frozenset[str], frozenset[str]]:
        """The names that are to become ids, and those that are an error; "all" of the latter leaves out the allowed."""
        allowed = self._names(allowed_special)
        forbidden = self._names(disallowed_special)
        return allowed, forbidden - allowed if disallowed_special == "all" else forbidden

    def parts(self, text: str, allowed: frozenset[str], forbidden: frozenset[str]) -> list[Part]:
        """The text cut at the allowed special tokens. Raises ValueError on a forbidden one."""
        if forbidden and (match := _expression(forbidden).search(text)):
            name = match.group()
            raise ValueError(
                f"the text holds the special token {name!r} at position {match.start()}, which a user's text could forge. "
                f"To make it that token's id pass allowed_special={{{name!r}}} (or 'all'); to read it as ordinary text "
                f"pass disallowed_special=() or use encode_ordinary; or remove it from the text."
            )
        return self.cut(text, allowed)

    def cut(self, text: str, allowed: AbstractSet[str]) -> list[Part]:
        """The text cut at these special tokens."""
        if not allowed:
            return [(text, None)]
        parts: list[Part] = []
        end = 0
        for match in _expression(frozenset(allowed)).finditer(text):
            parts.append((text[end : match.start()], self.ids[match.group()]))
            end = match.end()
        if end < len(text) or not parts:
            parts.append((text[end:], None))
        return parts

    def _names(self, choice: Choice) -> frozenset[str]:
        if choice == "all":
            return self.all
        if isinstance(choice, str):
            raise ValueError(f"give special tokens as a set of names, or 'all', not as the text {choice!r}")
        if unknown := [name for name in choice if name not in self.ids]:
            raise ValueError(f"unknown special token {unknown[0]!r}: this tokenizer has {list(self.ids)}")
        return frozenset(choice)


@functools.lru_cache(maxsize=64)
def _expression(names: frozenset[str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name))))


def crosses(names: frozenset[str], text: str, place: int) -> bool:
    """Whether any of the names occurs in the text from before `place` to behind it."""
    if not names:
        return False
    expression, longest = _expression(names), max(map(len, names))
    return any(
        (match := expression.match(text, start)) and match.end() > place
        for start in range(max(0, place - longest + 1), place)
    )


def occurrences(names: frozenset[str], text: str, start: int) -> Iterable[re.Match[str]]:
    """The occurrences that cut the text, when it is read from `start`."""
    return _expression(names).finditer(text, start) if names else ()
