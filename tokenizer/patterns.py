"""The patterns that split a text into words before byte pair encoding: no token ever crosses a word's edge."""

import difflib
import functools
from collections.abc import Callable

PATTERNS = {
    # Each is the pattern tiktoken uses today, which OpenAI published with the model of that name.
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
    "gpt4": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
    r"|\s+(?!\S)|\s",
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


@functools.cache
def splitter(pattern: str) -> Callable[[str], list[str]]:
    """A function that splits a text into the words of `pattern` (a name or an expression), losing nothing."""
    import regex

    compiled = regex.compile(pattern_text(pattern))

    def split(text: str) -> list[str]:
        return list(compiled.findall(text))

    return split
