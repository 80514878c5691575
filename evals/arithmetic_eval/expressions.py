"""The exact value of an arithmetic expression: our own parser over fractions, and never Python's `eval`.

expression = term { ("+" | "-") term }
term       = unary { ("*" | "/") unary }
unary      = "-" unary | power
power      = atom [ "**" unary ]
atom       = number | "(" expression ")"
"""

import re
from fractions import Fraction

MAX_DEPTH = 100
MAX_EXPONENT = 64
MAX_BITS = 4096
"""Bounds on nested parentheses and signs, on an exponent's size, and on the bits of any numerator or denominator."""

_TOKEN = re.compile(r"(\d+(?:\.\d+)?|\*\*|[-+*/()])|(\S)", re.ASCII)


class ExpressionError(ValueError):
    """The text is no expression, divides by zero, or exceeds a bound; the message says where and which."""


def evaluate(text: str) -> Fraction:
    """The exact value of `text`: integers, decimals, + - * / **, signs and parentheses, with Python's precedence.

    Raises:
        ExpressionError: see there. An exponent must be an integer.
    """
    parser = _Parser(_tokens(text))
    value = parser.expression(0)
    if parser.next != "":
        raise ExpressionError(f"{parser.next!r} is one too many in {text[:80]!r}")
    return value


def _tokens(text: str) -> list[str]:
    found = _TOKEN.findall(text)
    for token, other in found:
        if not token:
            raise ExpressionError(f"{other!r} is not arithmetic")
    return [token for token, _ in found]


class _Parser:
    """Recursive descent; `depth` counts what Python's own stack must hold."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = iter(tokens)
        self.next = next(self._tokens, "")

    def take(self) -> str:
        token, self.next = self.next, next(self._tokens, "")
        return token

    def expression(self, depth: int) -> Fraction:
        value = self.term(depth)
        while self.next in ("+", "-"):
            value = value + self.term(depth) if self.take() == "+" else value - self.term(depth)
        return _bounded(value)

    def term(self, depth: int) -> Fraction:
        value = self.unary(depth)
        while self.next in ("*", "/"):
            operator, right = self.take(), self.unary(depth)
            if operator == "/" and right == 0:
                raise ExpressionError("a division by zero")
            value = _bounded(value * right if operator == "*" else value / right)
        return value

    def unary(self, depth: int) -> Fraction:
        if self.next == "-":
            self.take()
            return -self.unary(_deeper(depth))
        return self.power(depth)

    def power(self, depth: int) -> Fraction:
        base = self.atom(depth)
        if self.next != "**":
            return base
        self.take()
        exponent = self.unary(_deeper(depth))
        if exponent.denominator != 1 or abs(exponent) > MAX_EXPONENT:
            raise ExpressionError(f"an exponent must be an integer of at most {MAX_EXPONENT}, not {exponent}")
        if base == 0 and exponent < 0:
            raise ExpressionError("a division by zero")
        if _bits(base) * abs(int(exponent)) > 2 * MAX_BITS:  # before the power is computed
            raise ExpressionError(f"a power of more than {MAX_BITS} bits")
        return _bounded(base ** int(exponent))

    def atom(self, depth: int) -> Fraction:
        token = self.take()
        if token == "(":
            value = self.expression(_deeper(depth))
            if self.take() != ")":
                raise ExpressionError("a parenthesis is not closed")
            return value
        if not token[:1].isdigit():
            raise ExpressionError(f"a number is missing before {token!r}" if token else "the expression ends too early")
        if len(token) > MAX_BITS // 4:
            raise ExpressionError(f"a number of {len(token)} digits")
        return Fraction(int(token) if "." not in token else token)


def _deeper(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise ExpressionError(f"more than {MAX_DEPTH} levels")
    return depth + 1


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _bounded(value: Fraction) -> Fraction:
    if _bits(value) > MAX_BITS:
        raise ExpressionError(f"a number of more than {MAX_BITS} bits")
    return value
