"""The number that an answer means, however a model writes it."""

import re

_SAME = str.maketrans("−–×·⋅\u00a0\u202f$⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "--x**   0123456789-")
_POWER = r"10\s*(?:\^|\*\*)\s*\{?([-+]?\d+)\}?"
_SUPERSCRIPT = re.compile("10(?=[⁰¹²³⁴⁵⁶⁷⁸⁹⁻])")
_PLAINER = [
    (re.compile(r"\\[dt]?frac\s*\{\s*([-+]?[\d.]+)\s*\}\s*\{\s*([\d.]+)\s*\}"), r"\1/\2"),
    (re.compile(r"(?<=\d),(?=\d{3}(?:,\d{3})*(?!\d))"), ""),
    (re.compile(rf"(?<=[\d.])\s*(?:[x*]|\\times|\\cdot)\s*{_POWER}"), r"e\1"),
    (re.compile(rf"(?<![\w.]){_POWER}"), r"1e\1"),
    (re.compile(r"^\s*-\s+(?=[\d.])"), "-"),
]
"""Rewritten first, in this order: LaTeX's fractions, thousands' commas, powers of ten, a detached minus."""

_NUMBER = re.compile(
    r"(?<![\w.])((?>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?))(?:\s*/\s*(\d+(?:\.\d+)?)(?![\d/]))?(?!\.?\d)"
)


def read_number(text: str) -> float | None:
    """The number in an answer: the last one after its last "=" or "≈", or the last one of all; None where it has none.

    Thousands' commas, "1.5e3", "1.5 × 10^3", "3/4" and LaTeX's \\frac and \\boxed are understood. What overflows a
    float, or divides by zero, is None.
    """
    text = _SUPERSCRIPT.sub("10^", text).translate(_SAME)
    for pattern, plainer in _PLAINER:
        text = pattern.sub(plainer, text)
    for part in (re.split("[=≈]", text)[-1], text):
        if found := _NUMBER.findall(part):
            numerator, denominator = found[-1]
            if denominator and float(denominator) == 0:
                return None
            value = float(numerator) / float(denominator or 1)
            return value if abs(value) != float("inf") else None
    return None
