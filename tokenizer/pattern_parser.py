"""The part of regular expression syntax that split patterns are written in, read into a tree.

A tree is made of tuples: ("set", symbols), ("cat", [trees]), ("alt", [trees]), ("repeat", tree, low, high,
possessive), and ("next", symbols): what must follow, the end of the text included.

Sets are over a pattern's own small alphabet instead of all characters: the 128 ASCII characters, the kinds of
`unicode_table` for all others, and apart from these each other character the pattern names.
"""

import re
from typing import Any, NamedTuple

from gpt_from_scratch.tokenizer.unicode_table import KINDS, PROPERTIES, kinds

Tree = tuple[Any, ...]
Symbols = frozenset[int]

# What (?i:x) adds to x in both cases: the only characters outside ASCII that fold to an ASCII letter.
_FOLDS = {"s": "ſ", "k": "K"}


class UnsupportedPatternError(ValueError):
    """The pattern needs more than this parser and the automaton know; `regex` splits by it instead."""


class Alphabet(NamedTuple):
    """Symbol numbers: ASCII characters are themselves, then `named` characters, then the kinds, then the text's end."""

    named: str

    @property
    def first_kind(self) -> int:
        return 128 + len(self.named)

    @property
    def end(self) -> int:
        return self.first_kind + len(KINDS)

    def symbol(self, character: str) -> int:
        return ord(character) if character.isascii() else 128 + self.named.index(character)

    def property(self, name: str) -> Symbols:
        """All symbols of a property (of "L" or "s", say)."""
        if name not in PROPERTIES:
            raise UnsupportedPatternError(f"\\p{{{name}}} is not in the pinned Unicode table ({', '.join(PROPERTIES)})")
        letters, table = PROPERTIES[name], kinds()
        characters = [*map(chr, range(128)), *self.named]
        members = {self.symbol(c) for c in characters if KINDS[table[ord(c)]] in letters}
        return frozenset(members | {self.first_kind + KINDS.index(letter) for letter in letters})

    def everything(self) -> Symbols:
        return frozenset(range(self.end))


def parse(pattern: str) -> tuple[Tree, Alphabet]:
    """The tree and alphabet of a pattern. Raises UnsupportedPatternError outside the subset."""
    extra = {character for character in pattern if not character.isascii()}
    if "(?i:" in pattern:
        extra |= set(_FOLDS.values())
    alphabet = Alphabet("".join(sorted(extra)))
    parser = _Parser(pattern, alphabet)
    tree = parser.alternatives(fold=False)
    if parser.rest:
        raise parser.unsupported("a closing bracket without an opening one")
    return tree, alphabet


class _Parser:
    """Recursive descent; `rest` is what is still to be read."""

    def __init__(self, pattern: str, alphabet: Alphabet) -> None:
        self.pattern, self.rest, self.alphabet = pattern, pattern, alphabet

    def unsupported(self, what: str) -> UnsupportedPatternError:
        place = len(self.pattern) - len(self.rest)
        return UnsupportedPatternError(f"{what}, at position {place} of {self.pattern!r}")

    def take(self, expression: str) -> re.Match[str] | None:
        """What `expression` matches at the start of the rest, which it removes."""
        if match := re.match(expression, self.rest, re.DOTALL):
            self.rest = self.rest[match.end() :]
        return match

    def alternatives(self, fold: bool) -> Tree:
        branches = [self.sequence(fold)]
        while self.take(r"\|"):
            branches.append(self.sequence(fold))
        return ("alt", branches) if len(branches) > 1 else branches[0]

    def sequence(self, fold: bool) -> Tree:
        items: list[Tree] = []
        while self.rest and self.rest[0] not in "|)":
            items.append(self.repeated(self.item(fold)))
        return ("cat", items)

    def repeated(self, tree: Tree) -> Tree:
        match = self.take(r"([?*+]|\{(\d+)(,?)(\d*)\})([+?]?)")
        if not match:
            return tree
        sign, low, comma, high, mode = match.groups()
        if mode == "?":
            raise self.unsupported("a lazy quantifier")
        if low is None:
            bounds: tuple[int, int | None] = {"?": (0, 1), "*": (0, None), "+": (1, None)}[sign]
        else:
            bounds = (int(low), int(high) if high else None if comma else int(low))
        if tree[0] == "next" or max(bounds[0], bounds[1] or 0) > 16:
            raise self.unsupported("such a repetition")
        return ("repeat", tree, *bounds, mode == "+")

    def item(self, fold: bool) -> Tree:
        if self.take(r"\(\?:"):
            return self.group(fold)
        if self.take(r"\(\?i:"):
            return self.group(fold=True)
        if match := self.take(r"\(\?([!=])"):
            tree = self.group(fold)
            while tree[0] == "cat" and len(tree[1]) == 1:
                tree = tree[1][0]
            if tree[0] != "set":
                raise self.unsupported("a look ahead at more than one character")
            if match[1] == "=":
                return ("next", tree[1])
            return ("next", (self.alphabet.everything() - tree[1]) | {self.alphabet.end})
        if self.take(r"\$"):
            return ("next", frozenset({self.alphabet.end}))
        if self.take(r"\[\^"):
            return ("set", self.alphabet.everything() - self.members(fold))
        if self.take(r"\["):
            return ("set", self.members(fold))
        if self.rest[0] in "()^.*+?{":
            raise self.unsupported(f"{self.rest[0]!r} here")
        return ("set", self.atom(fold))

    def group(self, fold: bool) -> Tree:
        tree = self.alternatives(fold)
        if not self.take(r"\)"):
            raise self.unsupported("an unclosed bracket")
        return tree

    def members(self, fold: bool) -> Symbols:
        found: Symbols = frozenset()
        while not self.take(r"\]"):
            if match := self.take(r"([0-9A-Za-z])-([0-9A-Za-z])"):
                if fold or match[1] > match[2]:
                    raise self.unsupported("such a range")
                found |= frozenset(range(ord(match[1]), ord(match[2]) + 1))
            elif not self.rest or self.take(r"\[|&&|--|\|\||~~"):
                raise self.unsupported("such a character class")
            else:
                found |= self.atom(fold)
        return found

    def atom(self, fold: bool) -> Symbols:
        """One character, escaped or not, or a class such as ``\\p{L}``."""
        if match := self.take(r"\\p\{(\w+)\}"):
            return self.alphabet.property(match[1])
        if match := self.take(r"\\([sS])"):
            spaces = self.alphabet.property("s")
            return spaces if match[1] == "s" else self.alphabet.everything() - spaces
        if match := self.take(r"\\([rnt])"):
            return frozenset({ord({"r": "\r", "n": "\n", "t": "\t"}[match[1]])})
        match = self.take(r"\\([^A-Za-z0-9])|([^\\])")
        if not match:
            raise self.unsupported("such an escape")
        character = match[1] or match[2]
        if not fold or not character.isalpha():
            return frozenset({self.alphabet.symbol(character)})
        if not character.isascii():
            raise self.unsupported("case folding outside ASCII")
        cases = character.lower() + character.upper() + _FOLDS.get(character.lower(), "")
        return frozenset(map(self.alphabet.symbol, cases))
