"""The patterns that split a text into words before byte pair encoding: no token ever crosses a word's edge."""

import difflib
import functools
import re
from collections.abc import Callable

from gpt_from_scratch.tokenizer.pattern_parser import UnsupportedPatternError, parse
from gpt_from_scratch.tokenizer.unicode_table import CODE_POINTS, KINDS, PROPERTIES, ranges

PATTERNS = {
    # Each is the pattern tiktoken uses today, which OpenAI published with the model of that name.
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
    "gpt4": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
    r"|\s+(?!\S)|\s",
    "o200k": "|".join(
        (
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
            r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        )
    ),
    # Short stories: a word, with its space, keeps its apostrophes and hyphens; every other character stands alone.
    "tinystories": r" ?\p{L}+(?:['’-]\p{L}+)*| ?\p{N}| ?[^\s\p{L}\p{N}]|\s+(?!\S)|\s",
    "none": r"[\s\S]+",
}


def pattern_text(pattern: str) -> str:
    """The regular expression of a named pattern; any other text is taken as an expression itself.

    Raises ValueError on what looks like a misspelt name.
    """
    if pattern in PATTERNS:
        return PATTERNS[pattern]
    if pattern.replace("_", "").replace("-", "").isalnum():
        near = difflib.get_close_matches(pattern, PATTERNS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown pattern {pattern!r}: known are {', '.join(PATTERNS)}, or a regular expression{hint}")
    return pattern


def is_pinned(pattern: str) -> bool:
    """Whether the pattern's letters, numbers and spaces are those of the pinned Unicode table; see `splitter`."""
    try:
        parse(pattern_text(pattern))
    except UnsupportedPatternError:
        return False
    return True


@functools.cache
def splitter(pattern: str) -> Callable[[str], list[str]]:
    """A function that splits a text into the words of `pattern` (a name or an expression), losing nothing.

    Its letters, numbers and spaces are those of the pinned Unicode table; but a pattern that `pattern_parser` cannot read
    is left to `regex` with the table of its release. What such a pattern skips becomes words of its own.
    """
    expression = pattern_text(pattern)
    if not is_pinned(pattern):
        return _split_by_regex(expression)
    ascii_only = re.compile(pinned(expression, stop=128)).findall

    def split(text: str) -> list[str]:
        words: list[str] = (ascii_only if text.isascii() else _for_all_characters(expression))(text)
        return words

    return split


@functools.cache
def _for_all_characters(expression: str) -> Callable[[str], list[str]]:
    # Some 700 ranges: a few times slower than the ASCII form, and made only when needed.
    return re.compile(pinned(expression, stop=CODE_POINTS)).findall


def pinned(expression: str, stop: int) -> str:
    """The expression for Python's `re`, its properties written out as ranges from the pinned Unicode table.

    `stop` is the first code point that never occurs; 128 gives the expression for ASCII texts.
    """
    parts: list[str] = []
    in_class = False
    for token in re.findall(r"\\p\{\w+\}|\\.|\[\^?|.", expression, re.DOTALL):
        if token in ("[", "[^"):
            in_class = True
        elif token == "]":
            in_class = False
        elif token == "$" and not in_class:
            token = r"\Z"  # Python's $ also matches before a last newline
        elif token[:2] in (r"\p", r"\s", r"\S"):
            letters = PROPERTIES[token[3:-1] if token[:2] == r"\p" else "s"]
            if token == r"\S":
                letters = "".join(set(KINDS) - set(letters))
            token = ranges(letters, stop) if in_class else f"[{ranges(letters, stop)}]"
        parts.append(token)
    return "".join(parts)


def _split_by_regex(expression: str) -> Callable[[str], list[str]]:
    import regex

    try:
        compiled = regex.compile(expression)
    except regex.error as error:
        raise ValueError(f"{expression!r} is not a regular expression: {error}") from error

    def split(text: str) -> list[str]:
        words, end = [], 0
        for match in compiled.finditer(text):
            if match.end() > match.start():
                words += [text[end : match.start()]] if match.start() > end else []
                words.append(match.group())
                end = match.end()
        return [*words, text[end:]] if end < len(text) else words

    return split
