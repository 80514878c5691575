"""Split patterns and texts made at random, from a grammar of what such patterns are written with.

    pattern  : branch { "|" branch } [ "|" rest ]
    rest     : "\\s+(?!\\S)|\\s+|[\\s\\S]" or "[\\s\\S]" or ".|\\n" or "\\S|\\s" or "\\p{L}+|\\P{L}"
    branch   : [ (?<=X) or (?<!X) ] { piece } must [ $ or (?!X) or (?=X) ]
    must     : atom [ + or {1,3} or {2} … ]          so that a branch matches something
    piece    : atom [ quantifier ]
    atom     : a character, an escape, a class such as \\p{Lu} or \\w, [a character class], or in brackets
               (?:…), (…), (?i:…), (?>…) one to three branches
    quantifier: ? * + {1,3} {2} {2,} {0,2}, possessive or lazy now and then

Now and then a construct is thrown in that engines read differently, or not at all: these must be refused.
"""

import random
from dataclasses import dataclass


def _each(words: str) -> list[str]:
    return words.split()


_LETTERS = list("abcAsSkKtTfil09 _'-.,!\"#%&/:;<=>@`~éß中😊\u0301²\u200dſK")
_ESCAPES = _each(r"\n \r \t \f \v \x41 \x20 \u0041 \u00e9") + [f"\\{one}" for one in '.-*+?([]{}|^$/"# !_~&%,:;=@']
_CATEGORIES = _each("L Lu Ll Lt Lm Lo M Mn N Nd Nl No P Pd Pc S Sm So Z Zs C Cc Cf")
_CLASSES = _each(r"\s \S \d \D \w \W \P{L} \P{N}") + [rf"\p{{{name}}}" for name in _CATEGORIES]
_RANGES = _each(r"a-z A-Z 0-9 !-/ à-ÿ 一-龥 \x20-\x2f \u0300-\u036f")
_RESTS = [r"|\s+(?!\S)|\s+|[\s\S]", r"|[\s\S]", r"|.|\n", r"|\S|\s", r"|\p{L}+|\P{L}"]
_FOLDED = _each(r"s k t 's|'t|'re|'ll [sdmt] [a-z] ab x\d [^s]")
STRANGE = _each(r"""
    [\p{L}&&[^\p{Lu}]] [a-z--[aeiou]] [a[bc]] [[:alpha:]] \h \H \R \X \K \G \A \z \Z \b \B ^a (?i)a (?x:a) (a)\1 (?<n>a)
    \p{Han} \p{Greek} \p{^L} \pL \0 a{,3} a** a+{2} (?:a*)* (?:a|b?)+ \x{41} \xe9 \u{41} \Q.\E (?i:\p{Lu}) (?i:é) (?i:ss)
    (?i:straße|fi) \< \> \` \' (?<=ab)c (?~a) (?#a)b []a] [z-a] a{3,1} [a-\d] [a||b] [a~~b] [\W\d]
""")
"""Constructs that engines read differently, or not at all."""
_POOL = list("abcsSkKtTfFiIlL019 _'-.,!\n\r\t\f\v\x00\x1c\x1f\x7f\x85\xa0") + _each("ss st ff fi ab abc 123")
_POOL += [*"éßẞſKﬀﬁﬂﬅﬆ中龥😊\u0301\u0308²½ⅠⅷⒶʰǅ٣\u200b\u200c\u200d\u2028\u3000\ufeff\u180eÀÿ", "\r\n", "  "]
_COUNTS = _each("? {1,3} {2} {0,2}")
_WITHOUT_END = _each("* + {2,}")


@dataclass
class PatternGrammar:
    """Makes patterns and texts. `strange` is how often a pattern has a construct that must be refused."""

    seed: int
    strange: float = 0.0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def pattern(self) -> str:
        text = self.branches(depth=2, most=4)
        if self.random.random() < self.strange:
            text = f"{text}|{self.random.choice(STRANGE)}"
        return text + (self.random.choice(_RESTS) if self.random.random() < 0.6 else "")

    def text(self) -> str:
        """Characters on which engines and their tables might differ."""
        return "".join(self.random.choices(_POOL, k=self.random.randint(0, 25)))

    def branches(self, depth: int, most: int = 3) -> str:
        return "|".join(self.branch(depth) for _ in range(self.random.randint(1, most)))

    def branch(self, depth: int) -> str:
        chance = self.random.random()
        before = self.random.choice(["(?<=a)", r"(?<!\s)", r"(?<!\p{L})"]) if chance < 0.04 else ""
        pieces = "".join(self.atom(depth) + self.quantifier(depth) for _ in range(self.random.choice([0, 0, 1, 2])))
        must = self.atom(depth)
        if self.random.random() < 0.6:
            must += self.random.choice(
                ["+", "+", "++", "+?", "{1,3}", "{1,3}+", "{2}"] if depth == 2 else ["{1,3}", "{2}"]
            )
        behind = ""
        if 0.04 <= chance < 0.2:
            look = self.random.choice([r"\S", "a", r"\s\s", r"(?:ab|\d)", self.character_class()])
            behind = self.random.choice([f"(?!{look})", f"(?={look})", "$"])
        return before + pieces + must + behind

    def quantifier(self, depth: int) -> str:
        """Within brackets none without end: repeated, they would make searches exponential, at which engines give up."""
        if self.random.random() < 0.5:
            return ""
        return self.random.choice(_COUNTS + _WITHOUT_END * (depth == 2)) + self.random.choice(
            ["", "", "", "", "+", "?"]
        )

    def atom(self, depth: int) -> str:
        kind = self.random.random()
        if kind < 0.3 or (kind > 0.85 and not depth):
            letter = self.random.choice(_LETTERS)
            return "\\" + letter if letter in "." else letter
        if kind < 0.38:
            return self.random.choice(_ESCAPES)
        if kind < 0.6:
            return self.random.choice([*_CLASSES, "."])
        if kind < 0.85:
            return self.character_class()
        if self.random.random() < 0.3:
            return f"(?i:{self.random.choice(_FOLDED)})"
        return self.random.choice(["(?:", "(?:", "(", "(?>"]) + self.branches(depth - 1) + ")"

    def character_class(self) -> str:
        items = [
            self.random.choice([*_RANGES, *_ESCAPES, *_CLASSES, *(f"\\{c}" if c in "-&~" else c for c in _LETTERS)])
            for _ in range(self.random.randint(1, 4))
        ]
        negative = "^" if self.random.random() < 0.35 else ""
        return f"[{negative}{''.join(items)}{'-' if self.random.random() < 0.1 else ''}]"
