"""Regular expression engines of other programs: a pattern is exchanged only if both engines interpret it equally.

`pattern_parser` reads a whitelist. What the engines still read differently in it is listed here, from their manuals
(https://docs.rs/regex, https://docs.rs/fancy-regex, Oniguruma's RE and RE.txt), and tests compare all of it with the
engines themselves. Everything else is refused by name, when a pattern is read as well as when it is written.
"""

from typing import NamedTuple

from gpt_from_scratch.tokenizer.splitting.coverage import covers_every_text
from gpt_from_scratch.tokenizer.splitting.pattern_parser import Parsed, UnsupportedPatternError, nullable, parse_pattern
from gpt_from_scratch.tokenizer.splitting.patterns import PATTERNS, is_a_name, pattern_text

_WORD = r"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}Ⓐ-ⓩ🄰-🅉🅐-🅩🅰-🆉"
_OUR_WORD = _WORD + r"\u200c\u200d"
"""What ``\\w`` is to tiktoken's engine, and here."""
_ONIGURUMAS_WORD = _WORD + "²³¹¼½¾"
"""What it is to Oniguruma, which in a class has only `_WORD`."""

# Oniguruma reads "$" as a line's end and "{1,3}+" as a repetition of repetitions, so these patterns are written in the
# forms in which OpenAI published them first, which split every text alike.
_FOR_ONIGURUMA = {
    PATTERNS["gpt2"]: r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    PATTERNS["gpt4"]: (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+"
    ),
}


class RegexEngine(NamedTuple):
    """One engine, and what it reads differently: constructs as `pattern_parser` names them."""

    name: str
    written: dict[str, tuple[str, str]]
    """What to write before a construct and instead of its last character, to have our meaning there."""
    meant: dict[str, tuple[str, str]]
    """The same the other way: their meaning, in what is written here."""
    refused: frozenset[str]
    keeps_skipped: bool
    """Whether the program keeps the characters between two matches."""


ONIGURUMA = RegexEngine(
    "Hugging Face's engine (Oniguruma)",
    # There "$" is also the end of each line, "{n,m}+" repeats the repetition, and "{n}?" makes the whole optional.
    {
        "$": ("", r"(?![\s\S])"),
        "{n,m}+": ("(?>", ")"),
        "{n}?": ("", ""),
        "\\w outside": ("", f"[{_OUR_WORD}]"),
        "\\W outside": ("", f"[^{_OUR_WORD}]"),
        "\\w in a class": ("", _OUR_WORD),
    },
    {
        "$": ("", "(?!.)"),
        "{n,m}+": ("(?:", ")+"),
        "{n}?": ("(?:", ")?"),
        "\\w outside": ("", f"[{_ONIGURUMAS_WORD}]"),
        "\\W outside": ("", f"[^{_ONIGURUMAS_WORD}]"),
        "\\w in a class": ("", _WORD),
    },
    # Two letters that ignore case may also be one ligature there, such as ß or ﬀ.
    frozenset({"\\W in a class"} | {f"{letters!r} in (?i:…)" for letters in ("ss", "ff", "fi", "fl", "st")}),
    keeps_skipped=True,
)
TIKTOKEN = RegexEngine("tiktoken's engine (fancy-regex)", {}, {}, frozenset(), keeps_skipped=False)


def for_engine(pattern: str, engine: RegexEngine) -> str:
    """The expression with which `engine` splits every text as `pattern` (a name or an expression) does here.

    Raises ValueError where there is none, naming what differs.
    """
    expression = pattern_text(pattern)
    if engine is ONIGURUMA and expression in _FOR_ONIGURUMA:
        return _FOR_ONIGURUMA[expression]
    return _rewritten(expression, _checked(expression, engine), engine.written)


def from_engine(expression: str, engine: RegexEngine) -> str:
    """The expression that splits every text here as `expression` does in `engine`. Raises ValueError as `for_engine` does."""
    if not isinstance(expression, str):
        raise ValueError(f"a pattern is a text, not {expression!r}")
    if engine is ONIGURUMA:
        known = next((ours for ours, theirs in _FOR_ONIGURUMA.items() if theirs == expression), None)
        if known is not None:
            return known
    expression = _rewritten(expression, _checked(expression, engine), engine.meant)
    _checked(expression, engine)
    if engine is ONIGURUMA:
        for written, meant in ((f"[^{_OUR_WORD}]", r"\W"), (f"[{_OUR_WORD}]", r"\w"), (_OUR_WORD, r"\w")):
            expression = expression.replace(written, meant)
    return expression if expression in PATTERNS.values() or not is_a_name(expression) else f"(?:{expression})"


def _checked(expression: str, engine: RegexEngine) -> Parsed:
    def refuse(what: str, advice: str) -> ValueError:
        return ValueError(
            f"the split pattern {_shortened(expression)} has {what}, which {engine.name} and this tokenizer need not read "
            f"alike, so the ids could differ. {advice}"
        )

    try:
        parsed = parse_pattern(expression)
    except UnsupportedPatternError as error:
        what = str(error).removesuffix(f" of {expression!r}")
        raise refuse(what, "Write it with letters, classes, \\p{L}, groups, |, ?, *, + and look-aheads.") from None
    for construct in parsed.constructs:
        if construct.name in engine.refused:
            raise refuse(construct.name, "Write the characters out as classes, one by one.")
    if nullable(parsed.tree):
        raise refuse("a match of no characters", "Use + where there is *, or {1,n} where there is {0,n}.")
    if not engine.keeps_skipped and not covers_every_text(parsed):
        raise ValueError(
            f"the split pattern {_shortened(expression)} does not match every character, and tiktoken drops what a pattern "
            "skips, where this tokenizer keeps it. Add an alternative for all others at its end, such as |[\\s\\S]."
        )
    return parsed


def _rewritten(expression: str, parsed: Parsed, forms: dict[str, tuple[str, str]]) -> str:
    """The expression with each of its constructs in the form that `forms` has for it."""
    edits: list[tuple[int, int, str]] = []
    for construct in parsed.constructs:
        if construct.name in forms:
            before, instead = forms[construct.name]
            size = 2 if construct.name.startswith("\\") else 1
            edits += [(construct.end - size, construct.end, instead), (construct.start, construct.start, before)]
    # From the last to the first. Of two that begin at one place the outer ends later, and comes first in the text.
    for start, end, text in sorted(edits, key=lambda edit: -edit[0]):
        expression = expression[:start] + text + expression[end:]
    return expression


def _shortened(expression: str) -> str:
    return repr(expression if len(expression) < 200 else expression[:200] + "…")
