"""Split patterns, which cut a text into words before byte pair encoding. No token crosses a word border."""

import difflib
import functools
import re
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from gpt_from_scratch.tokenizer.splitting.coverage import covers_every_text
from gpt_from_scratch.tokenizer.splitting.expression import as_re
from gpt_from_scratch.tokenizer.splitting.pattern_parser import Parsed, UnsupportedPatternError, nullable, parse_pattern
from gpt_from_scratch.tokenizer.splitting.unicode_table import CODE_POINTS

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


def is_a_name(pattern: str) -> bool:
    """Whether the pattern looks like a name: letters, digits, - and _ only."""
    return pattern.replace("_", "").replace("-", "").isalnum()


def pattern_text(pattern: str) -> str:
    """The regular expression of a named pattern; any other text is taken as an expression itself.

    Raises ValueError on what looks like a misspelt name.
    """
    if isinstance(pattern, str) and pattern in PATTERNS:
        return PATTERNS[pattern]
    if not isinstance(pattern, str):
        raise ValueError(f"a pattern is a name or a regular expression, not {pattern!r}")
    if any("\ud800" <= character <= "\udfff" for character in pattern):  # as of a command line that is not UTF-8
        raise ValueError(f"the split pattern {pattern!r} holds half a surrogate pair, which no text in UTF-8 can")
    if is_a_name(pattern):
        near = difflib.get_close_matches(pattern, PATTERNS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown pattern {pattern!r}: known are {', '.join(PATTERNS)}, or a regular expression{hint}")
    return pattern


def is_pinned(pattern: str) -> bool:
    """Whether the pattern's letters, numbers and spaces are those of the pinned Unicode table; see `splitter`."""
    try:
        parse_pattern(pattern_text(pattern))
    except UnsupportedPatternError:
        return False
    return True


@functools.cache
def splitter(pattern: str) -> Callable[[str], list[str]]:
    """A function that splits a text into the words of `pattern` (a name or an expression), losing nothing.

    What the pattern skips becomes words of its own: each run of characters between two matches is one. Letters, numbers
    and spaces are those of the pinned Unicode table; but a pattern that `pattern_parser` cannot read is left to `regex`
    with the table of its release. Raises ValueError on what is no expression, or is one only to other engines.
    """
    expression = pattern_text(pattern)
    try:
        parsed = parse_pattern(expression)
    except UnsupportedPatternError as error:
        return _split_by_regex(expression, error)
    ascii_only = _words(parsed, stop=128)

    def split(text: str) -> list[str]:
        return (ascii_only if text.isascii() else _for_all_characters(expression))(text)

    return split


@functools.cache
def _for_all_characters(expression: str) -> Callable[[str], list[str]]:
    # Some 700 ranges: a few times slower than the ASCII form, and made only when needed.
    return _words(parse_pattern(expression), stop=CODE_POINTS)


def _words(parsed: Parsed, stop: int) -> Callable[[str], list[str]]:
    compiled = re.compile(as_re(parsed, stop))
    leaves_nothing = covers_every_text(parsed) and not nullable(parsed.tree)
    return compiled.findall if leaves_nothing else _keeping_what_is_skipped(compiled.finditer)


def _keeping_what_is_skipped(matches: Callable[[str], Iterable[Any]]) -> Callable[[str], list[str]]:
    """The words of a pattern that may skip characters. An empty match is none."""

    def split(text: str) -> list[str]:
        words, end = [], 0
        for match in matches(text):
            first, last = match.span()
            if last > first:
                if first > end:
                    words.append(text[end:first])
                words.append(text[first:last])
                end = last
        return [*words, text[end:]] if end < len(text) else words

    return split


def _split_by_regex(expression: str, why: UnsupportedPatternError) -> Callable[[str], list[str]]:
    import regex

    if re.search("set operation|within a character class|POSIX class", str(why)):
        raise ValueError(f"{why}: engines read this differently; write the set out, or use a look-ahead such as (?!x)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compiled = regex.compile(expression)
    except (regex.error, Warning, RecursionError, OverflowError) as error:
        raise ValueError(f"{expression!r} is not a regular expression: {error}") from error
    return _keeping_what_is_skipped(compiled.finditer)
