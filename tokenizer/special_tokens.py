"""Special tokens: texts with a single id, which untrusted text must not contain unnoticed.

Added tokens are texts that stand for one id always: there is nothing in them to forge.
"""

import functools
import re
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from numbers import Integral
from typing import Literal

Part = tuple[str, int | None]
"""A piece of ordinary text, and the id of the special token that follows it (None: none does)."""

SpecialChoice = Literal["all"] | Collection[str]


class SpecialTokens:
    """Names and ids. Where several names begin at one place of a text, the longest is taken."""

    def __init__(self, ids: Mapping[str, int], added: Mapping[str, int] | None = None) -> None:
        """`added` are the tokens that always cut a text. Raises ValueError on a name or id that cannot be, or comes twice."""
        self.ids = _checked("special_tokens", ids)
        self.added = _checked("added_tokens", added or {})
        if both := self.ids.keys() & self.added.keys():
            raise ValueError(f"{min(both)!r} is a special token and an added one")
        self._id_of = self.ids | self.added
        if len(set(self._id_of.values())) != len(self._id_of):
            raise ValueError(f"special tokens must have different ids: {self._id_of}")
        self.all = frozenset(self.ids)
        self.always = frozenset(self.added)

    @classmethod
    def numbered(cls, names: Iterable[str], first: int, added: Mapping[str, int] | None = None) -> "SpecialTokens":
        """The names with the ids first, first + 1, …; ValueError if a name comes twice."""
        if isinstance(names, str | bytes):
            raise ValueError(f"special_tokens is the text {names!r}, expected several names: write ({names!r},)")
        try:
            names = list(names)
        except TypeError:
            raise ValueError(f"special_tokens is {names!r}, expected names such as ('<|endoftext|>',)") from None
        if unnamed := [name for name in names if not isinstance(name, str)]:
            raise ValueError(f"special_tokens holds {unnamed[0]!r}, expected names such as '<|endoftext|>'")
        if len(set(names)) != len(names):
            raise ValueError(f"special tokens must differ from one another: {names}")
        return cls({name: first + index for index, name in enumerate(names)}, added)

    def chosen(
        self, allowed_special: SpecialChoice, disallowed_special: SpecialChoice
    ) -> tuple[frozenset[str], frozenset[str]]:
        """The names that are to become ids, and those that are an error; "all" of the latter leaves out the allowed.

        As in tiktoken, an allowed name that is not known changes nothing, and a disallowed one is an error where it occurs.
        """
        allowed = self._names(allowed_special) & self.all | self.always
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
            parts.append((text[end : match.start()], self._id_of[match.group()]))
            end = match.end()
        if end < len(text) or not parts:
            parts.append((text[end:], None))
        return parts

    def _names(self, choice: SpecialChoice) -> frozenset[str]:
        if choice == "all":
            return self.all
        if isinstance(choice, str | bytes):
            raise ValueError(f"give special tokens as a set of names, or 'all', not as the text {choice!r}")
        if wrong := [name for name in choice if not isinstance(name, str) or not name]:
            raise ValueError(f"give special tokens as a set of names, or 'all': {wrong[0]!r} is no name")
        return frozenset(choice)


def _checked(field: str, ids: Mapping[str, int]) -> dict[str, int]:
    for name, index in ids.items():
        if not isinstance(name, str):
            raise ValueError(f"{field} holds the name {name!r}, expected a text")
        if not name:
            raise ValueError("a special token cannot be the empty text")
        if not isinstance(index, Integral) or isinstance(index, bool):
            raise ValueError(f"the special token {name!r} has the id {index!r}, expected a whole number")
        if index < 0:
            raise ValueError(f"the special token {name!r} has a negative id, {index}")
        if any(0xD800 <= ord(character) < 0xE000 for character in name):
            raise ValueError(f"the special token {name!r} holds half a surrogate pair, which no text in UTF-8 can")
    return {name: int(index) for name, index in ids.items()}


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
