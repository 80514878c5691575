"""Parser of the regular expression subset that split patterns use.

What is read here means the same in every engine but for the few differences that `engines` knows: a whitelist, so that
whatever else an engine may offer is named and not guessed at. A tree is made of tuples:

    ("set", symbols)                             one character
    ("cat", [trees]), ("alt", [trees])           one after another, or the first that fits
    ("repeat", tree, low, high, mode)            mode is "" (greedy), "?" (lazy) or "+" (possessive); high may be None
    ("next", symbols)                            what must follow, the end of the text included
    ("look", tree, ahead, negative)              any other look around
    ("atomic", tree)                             (?>…)

Sets are over a pattern's own small alphabet instead of all characters: the 128 ASCII characters, and for all others the
kinds of `unicode_table`, apart in each of the ranges that the characters named in the pattern make.
"""

import functools
import re
from typing import Any, NamedTuple, NoReturn

from gpt_from_scratch.tokenizer.splitting.alphabet import Alphabet, Symbols
from gpt_from_scratch.tokenizer.splitting.unicode_table import PROPERTIES

Tree = tuple[Any, ...]

MOST_REPEATS = 1000
DEEPEST = 50

# What (?i:x) adds to x in both cases: the only characters outside ASCII that fold to an ASCII letter.
_FOLDS = {"s": "ſ", "k": "K"}
_CONTROLS = {"r": "\r", "n": "\n", "t": "\t", "f": "\f", "v": "\v"}
_CHARACTER = r"\\x[0-7][0-9A-Fa-f]|\\u[0-9A-Fa-f]{4}|\\[rntfv]|\\[^A-Za-z0-9<>`'\x80-\U0010ffff]|[^\\]"
_OPENINGS = {"(?:": "group", "(?i:": "fold", "(?>": "atomic", "(": "group"} | {
    "(?=": (True, False),
    "(?!": (True, True),
    "(?<=": (False, False),
    "(?<!": (False, True),
}


class UnsupportedPatternError(ValueError):
    """The pattern needs more than this parser and the automaton know; `regex` splits by it instead."""


class Construct(NamedTuple):
    """Something that engines read differently, and where it is written."""

    name: str
    """``$``, ``{n,m}+``, ``{n}?``, ``\\w outside``, ``\\W in a class``, …, or two letters of a ligature."""
    start: int
    end: int


class Parsed(NamedTuple):
    """A pattern's tree, its alphabet, and what in it engines read differently, in the order of the ends."""

    tree: Tree
    alphabet: Alphabet
    constructs: tuple[Construct, ...]


@functools.lru_cache(maxsize=64)
def parse_pattern(pattern: str) -> Parsed:
    """The tree of a pattern. Raises UnsupportedPatternError outside the subset, naming the construct."""
    named = {ord(character) for character in pattern if not character.isascii()}
    named |= {int(code, 16) for code in re.findall(r"\\u([0-9A-Fa-f]{4})", pattern)}
    if "(?i:" in pattern:
        named |= set(map(ord, _FOLDS.values()))
    parser = _Parser(pattern, Alphabet.of({code for code in named if code >= 128}))
    tree = parser.alternatives(fold=False, depth=0)
    if parser.rest:
        parser.refuse("a closing bracket without an opening one")
    return Parsed(tree, parser.alphabet, tuple(parser.constructs))


class _Parser:
    """Recursive descent; `rest` is what is still to be read."""

    def __init__(self, pattern: str, alphabet: Alphabet) -> None:
        self.pattern, self.place, self.alphabet = pattern, 0, alphabet
        self.constructs: list[Construct] = []

    @property
    def rest(self) -> bool:
        return self.place < len(self.pattern)

    def refuse(self, what: str) -> NoReturn:
        raise UnsupportedPatternError(f"{what}, at position {self.place} of {self.pattern!r}")

    def take(self, expression: str) -> re.Match[str] | None:
        """Match `expression` here and move past it."""
        if match := re.compile(expression, re.DOTALL).match(self.pattern, self.place):
            self.place = match.end()
        return match

    def alternatives(self, fold: bool, depth: int) -> Tree:
        if depth > DEEPEST:
            self.refuse(f"brackets more than {DEEPEST} deep")
        branches = [self.sequence(fold, depth)]
        while self.take(r"\|"):
            branches.append(self.sequence(fold, depth))
        return ("alt", branches) if len(branches) > 1 else branches[0]

    def sequence(self, fold: bool, depth: int) -> Tree:
        items: list[Tree] = []
        before = ""
        while self.rest and self.pattern[self.place] not in "|)":
            start = self.place
            items.append(self.repeated(self.item(fold, depth), start))
            spelled = self.pattern[start : self.place].lower()
            if fold and before + spelled in ("ss", "ff", "fi", "fl", "st"):
                self.note(f"{before + spelled!r} in (?i:…)", start)  # in some engines also ß, ﬀ, …
            before = spelled
        return items[0] if len(items) == 1 else ("cat", items)

    def note(self, name: str, start: int) -> None:
        self.constructs.append(Construct(name, start, self.place))

    def repeated(self, tree: Tree, start: int) -> Tree:
        """The tree, which is written from `start` on, with the repetition behind it if there is one."""
        match = self.take(r"([?*+]|\{(\d+)(,?)(\d*)\})([+?]?)")
        if not match:
            return tree
        sign, low, comma, high, mode = match.groups()
        if low is None:
            bounds: tuple[int, int | None] = {"?": (0, 1), "*": (0, None), "+": (1, None)}[sign]
        else:
            bounds = (int(low), int(high) if high else None if comma else int(low))
            if mode == "+":
                self.note("{n,m}+", start)
            if mode == "?" and not comma:
                self.note("{n}?", start)
        if tree[0] in ("next", "look"):
            self.refuse("a repeated look around")
        if max(bounds[0], bounds[1] or 0) > MOST_REPEATS or (bounds[1] is not None and bounds[1] < bounds[0]):
            self.refuse(f"the count {sign}")
        if bounds[1] == 0:
            self.refuse("a repetition of no times")
        if nullable(tree):
            self.refuse("a repetition of what may be empty")
        if self.rest and self.pattern[self.place] in "?*+":
            self.refuse("a repetition of a repetition")
        return ("repeat", tree, *bounds, mode)

    def item(self, fold: bool, depth: int) -> Tree:
        if self.take(r"\$"):
            self.note("$", self.place - 1)
            return ("next", frozenset({self.alphabet.end}))
        if self.take(r"\["):
            return ("set", self.members(fold))
        if self.take(r"\."):
            return ("set", self.alphabet.everything() - {ord("\n")})
        if match := self.take(r"\(\?i:|\(\?<?[=!]|\(\?[:>]|\((?!\?)"):
            return self.opened(_OPENINGS[match[0]], fold, depth + 1)
        if match := re.compile(r"\(\?[^:)]{0,8}").match(self.pattern, self.place):
            self.refuse(f"the group {match[0]}…")
        if self.pattern[self.place] in "^*+?{":
            self.refuse(f"{self.pattern[self.place]!r} here")
        return ("set", self.atom(fold))

    def opened(self, opening: Any, fold: bool, depth: int) -> Tree:
        """Parse the content of brackets, after the opening one."""
        tree = self.alternatives(fold or opening == "fold", depth)
        if not self.take(r"\)"):
            self.refuse("an unclosed bracket")
        if isinstance(opening, str):
            if opening == "atomic" and tree[0] == "repeat" and tree[1][0] == "set" and not tree[4]:
                return (*tree[:4], "+")
            return ("atomic", tree) if opening == "atomic" else tree
        ahead, negative = opening
        if ahead and tree[0] == "set":
            if negative:
                return ("next", (self.alphabet.everything() - tree[1]) | {self.alphabet.end})
            return ("next", tree[1])
        if not ahead and tree[0] != "set":
            self.refuse("a look behind at more than one character")
        return ("look", tree, ahead, negative)

    def members(self, fold: bool) -> Symbols:
        """A character class behind its opening bracket."""
        negative = bool(self.take(r"\^"))
        if self.take(r"(?=\])"):
            self.refuse("']' at the start of a character class")
        if re.compile(r":[^\]]*:\]").match(self.pattern, self.place):
            self.refuse("a POSIX class")
        found: Symbols = frozenset()
        first = True
        while not self.take(r"\]"):
            if match := self.take(r"&&|--|\|\||~~"):
                self.place -= 2
                self.refuse(f"the set operation {match[0]}")
            if self.take(r"(?=\[)"):
                self.refuse("a character class within a character class (write \\[ for the bracket itself)")
            if not self.rest:
                self.refuse("an unclosed character class")
            if self.take(r"-(?=\])"):
                found |= {ord("-")}
                continue
            if not first and self.take(r"(?=-)"):
                self.refuse("'-' within a character class (write \\-)")
            start = self.place
            one = self.atom(fold, in_class=True)
            first = False
            if self.take(r"-(?![\]-])"):
                low, high = self.pattern[start : self.place - 1], self.single()
                one = self.between(low, high, fold)
            found |= one
        return self.alphabet.everything() - found if negative else found

    def single(self) -> str:
        """One character of a class, as it is written."""
        if self.take(r"(?=\[)"):
            self.refuse("a character class within a character class (write \\[ for the bracket itself)")
        match = self.take(_CHARACTER)
        if not match:
            self.refuse("such a range")
        if (match[0] + self.pattern[self.place : self.place + 1]) in ("&&", "--", "||", "~~"):
            self.refuse(f"the set operation {match[0] * 2}")
        return match[0]

    def between(self, low: str, high: str, fold: bool) -> Symbols:
        """A range, both ends as they are written."""
        first, last = self.character(low), self.character(high)
        if first is None or last is None or first > last:
            self.refuse(f"the range {low}-{high}")
        if not fold:
            return self.alphabet.between(ord(first), ord(last))
        if not last.isascii():
            self.refuse("case folding outside ASCII")
        return frozenset().union(*(self.folded(chr(code), fold) for code in range(ord(first), ord(last) + 1)))

    def character(self, written: str) -> str | None:
        """The character that is written so; None if it is not one."""
        if len(written) == 1:
            return written
        if re.fullmatch(r"\\x[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}", written):
            return chr(int(written[2:], 16))
        if re.fullmatch(r"\\[^A-Za-z0-9]", written):
            return written[1]
        return _CONTROLS.get(written[1]) if re.fullmatch(r"\\.", written) else None

    def atom(self, fold: bool, in_class: bool = False) -> Symbols:
        """One character, escaped or not, or a class such as ``\\p{L}``."""
        if match := self.take(r"\\([pP])\{(\w+)\}"):
            sign, name = match.groups()
            if name not in PROPERTIES or name[0].islower():
                self.refuse(f"\\{sign}{{{name}}} (known are general categories such as L, Lu, N, Nd, P, S, Z)")
            if fold:
                self.refuse(f"\\{sign}{{{name}}} in (?i:…)")
            return self.complement(sign == "P", self.alphabet.property(name))
        if match := self.take(r"\\([sSdDwW])"):
            name = match[1].lower()
            if name == "w":
                which = "in a class" if in_class else "outside"
                self.note(f"\\{match[1]} {which}", match.start())
                if fold:
                    self.refuse(f"\\{match[1]} in (?i:…)")
            return self.complement(match[1].isupper(), self.alphabet.property(name))
        match = self.take(_CHARACTER)
        if not match:
            escape = re.compile(r"\\(?:[pPxuUkgN][\w{}^:=]*|.?)", re.DOTALL).match(self.pattern, self.place)
            self.refuse(f"the escape {escape[0] if escape else ''}")
        character = self.character(match[0])
        if character is None or 0xD800 <= ord(character) < 0xE000:
            self.refuse(f"the escape {match[0]}")
        return self.folded(character, fold)

    def complement(self, wanted: bool, symbols: Symbols) -> Symbols:
        return self.alphabet.everything() - symbols if wanted else symbols

    def folded(self, character: str, fold: bool) -> Symbols:
        """The symbol of a character, and where case does not matter those of its other cases."""
        if not fold or not character.isalpha():
            return self.alphabet.between(ord(character), ord(character))
        if not character.isascii():
            self.refuse("case folding outside ASCII")
        cases = character.lower() + character.upper() + _FOLDS.get(character.lower(), "")
        return frozenset().union(*(self.alphabet.between(ord(case), ord(case)) for case in cases))


def nullable(tree: Tree) -> bool:
    """Whether the tree can match the empty text, at some place at least."""
    kind = tree[0]
    if kind == "set":
        return False
    if kind == "cat":
        return all(map(nullable, tree[1]))
    if kind == "alt":
        return any(map(nullable, tree[1]))
    if kind == "repeat":
        return bool(tree[2] == 0) or nullable(tree[1])
    return nullable(tree[1]) if kind == "atomic" else True
