"""The number that an answer means, however a model writes it."""

import re

_SAME = str.maketrans("−–×·⋅\u00a0\u202f$⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "--x**   0123456789-")
_POWER = r"10\s*(?:\^|\*\*)\s*\{?([-+]?\d+)\}?"
_SUPERSCRIPT = re.compile("10(?=[⁰¹²³⁴⁵⁶⁷⁸⁹⁻])")
_PLAINER = [
    (re.compile(r"\\[dt]?frac\s*\{\s*([-+]?[\d.]+)\s*\}\s*\{\s*([\d.]+)\s*\}"), r"\1/\2"),
    (re.compile(r"(?<=\d),(?=\d{3}(?:,\d{3})*(?!\d))"), ""),
    (re.compile(rf"(?<=[\d.])\s*(?:[x*]|\\times|\\cdot)\s*{_POWER}"), r"e\1"),
    (re.compile(rf"(?<![\w.(]){_POWER}"), r"1e\1"),
    (re.compile(r"^\s*-\s+(?=[\d.])"), "-"),
]
"""Rewritten first, in this order: LaTeX's fractions, thousands' commas, powers of ten, a detached minus."""

_NUMBER = re.compile(
    r"(?<![\w.])((?>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?))(?:\s*/\s*(\d+(?:\.\d+)?)(?![\d/]))?(?!\.?\d)"
)


def read_number(text: str) -> float | None:
    """The number in an answer: the last one after its last "=" or "≈", or the last one of all; None where it has none.

    A number inside a calculation is no answer: "(8 - 4)" says nothing, "8 - 4 = 4" does. Thousands' commas, "1.5e3",
    "1.5 × 10^3", "3/4" and LaTeX's \\frac and \\boxed are understood. What overflows a float, or divides by zero, is None.
    """
    text = _SUPERSCRIPT.sub("10^", text).translate(_SAME)
    for pattern, plainer in _PLAINER:
        text = pattern.sub(plainer, text)
    for part in (re.split("[=≈]", text)[-1], text):
        if found := list(_NUMBER.finditer(part)):
            return None if _is_operand(part, found[-1]) else _value(found[-1])
    return None


def _is_operand(text: str, match: re.Match[str]) -> bool:
    before, after = text[max(0, match.start() - 20) : match.start()], text[match.end() : match.end() + 20]
    if match[2] and before.rstrip().endswith("("):
        return True  # "(8 / 2)" asks; "3/4" answers
    if re.search(r"[\d)]\s*$" if match[1][0] in "+-" else r"[\d)]\s*(?:\*\*|[-+*/^x])\s*$", before):
        return True
    return re.match(r"\s*\)*\s*(?:\*\*(?=\s*\d)|[-+/^]\s*[\d(])", after) is not None


def _value(match: re.Match[str]) -> float | None:
    denominator = float(match[2] or 1)
    value = float(match[1]) / denominator if denominator else float("inf")
    return value if abs(value) != float("inf") else None
