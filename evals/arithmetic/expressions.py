"""Exact evaluation of arithmetic expressions, by a parser over fractions, without Python's `eval`.

Operator precedence parsing (Dijkstra's shunting yard, 1961): two stacks and no recursion, so that no text is too deep for
Python's own stack.
"""

import re
from fractions import Fraction

MAX_OPEN = 200
MAX_EXPONENT = 64
MAX_BITS = 4096
"""Bounds on parentheses and operators that wait for their right side, on an exponent, and on the bits of any number."""

_TOKEN = re.compile(r"(\d+(?:\.\d+)?|\*\*|[-+*/()])|(\S)", re.ASCII)
_PRECEDENCE = {"(": 0, "+": 1, "-": 1, "*": 2, "/": 2, "sign": 3, "**": 4}


class ExpressionError(ValueError):
    """The text is not an expression, divides by zero, or exceeds a bound; the message says which."""


def evaluate(text: str) -> Fraction:
    """The exact value of `text`: integers, decimals, + - * / **, signs and parentheses, with Python's precedence.

    Raises:
        ExpressionError: see there. An exponent must be an integer.
    """
    values: list[Fraction] = []
    waiting: list[str] = []
    """Operators whose right side is still being read, and open parentheses."""
    wants_operand = True
    for token, other in _TOKEN.findall(text):
        if not token:
            raise ExpressionError(f"{other!r} is not arithmetic")
        if wants_operand:
            if token in "(-":
                waiting.append("sign" if token == "-" else "(")
            elif token[0].isdigit():
                values.append(_number(token))
                wants_operand = False
            else:
                raise ExpressionError(f"a number is missing before {token!r}")
        elif token == ")":
            while waiting and waiting[-1] != "(":
                _apply(waiting.pop(), values)
            if not waiting:
                raise ExpressionError("')' without '('")
            waiting.pop()
        elif token in _PRECEDENCE and token != "(":
            rank = _PRECEDENCE[token] + (token == "**")  # a power groups from the right: an equal one waits
            while waiting and _PRECEDENCE[waiting[-1]] >= rank:
                _apply(waiting.pop(), values)
            waiting.append(token)
            wants_operand = True
        else:
            raise ExpressionError(f"{token[:20]!r} is unexpected")
        if len(waiting) > MAX_OPEN:
            raise ExpressionError(f"more than {MAX_OPEN} levels")
    if wants_operand:
        raise ExpressionError("the expression ends too early")
    while waiting:
        _apply(waiting.pop(), values)
    return values[0]


def _number(token: str) -> Fraction:
    if len(token) > MAX_BITS // 4:
        raise ExpressionError(f"a number of {len(token)} digits")
    return Fraction(token if "." in token else int(token))


def _apply(operator: str, values: list[Fraction]) -> None:
    """Replace the operator's values, on top of the stack, by its result."""
    if operator == "(":
        raise ExpressionError("a parenthesis is not closed")
    if operator == "sign":
        values[-1] = -values[-1]
        return
    right, left = values.pop(), values.pop()
    if operator == "**":
        result = _power(left, right)
    elif operator == "/":
        if right == 0:
            raise ExpressionError("a division by zero")
        result = left / right
    else:
        result = left * right if operator == "*" else left + right if operator == "+" else left - right
    if max(result.numerator.bit_length(), result.denominator.bit_length()) > MAX_BITS:
        raise ExpressionError(f"a number of more than {MAX_BITS} bits")
    values.append(result)


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT:
        raise ExpressionError(f"an exponent must be an integer of at most {MAX_EXPONENT}")
    if base == 0 and exponent < 0:
        raise ExpressionError("a division by zero")
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if (bits - 1) * abs(int(exponent)) > MAX_BITS:  # at least so many, before the power is computed
        raise ExpressionError(f"a number of more than {MAX_BITS} bits")
    return base ** int(exponent)
