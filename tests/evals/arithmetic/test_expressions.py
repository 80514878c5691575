"""Expressions have exact values, and what is no expression is refused."""

import ast
import contextlib
import operator
from fractions import Fraction

import hypothesis.strategies as st
import pytest
from hypothesis import given

from gpt_from_scratch.evals.arithmetic.expressions import MAX_BITS, ExpressionError, evaluate

OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def by_pythons_parser(text: str) -> Fraction:
    """The same value from Python's own syntax tree, which has the precedence that ours must have."""

    def value(node: ast.AST) -> Fraction:
        if isinstance(node, ast.Constant):
            return Fraction(str(node.value))
        if isinstance(node, ast.UnaryOp):
            return -value(node.operand)
        assert isinstance(node, ast.BinOp)
        left, right = value(node.left), value(node.right)
        return left**right if isinstance(node.op, ast.Pow) else OPERATORS[type(node.op)](left, right)

    return value(ast.parse(text, mode="eval").body)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("7", 7), ("2 + 3 * 4", 14), ("(2 + 3) * 4", 20), ("10 - 4 - 3", 3), ("2 ** 3 ** 2", 512), ("-2 ** 2", -4)),
        *(("(-2) ** 2", 4), ("2 ** -1", Fraction(1, 2)), ("1 / 3", Fraction(1, 3)), ("1.25 * 4", 5), ("--3", 3)),
        *(
            ("2*-3", -6),
            ("8 / 4 / 2", 1),
            ("0 ** 0", 1),
            (" ( 1 ) ", 1),
            ("1 / 3 * 3", 1),
            ("0.1 + 0.2", Fraction(3, 10)),
        ),
    ],
)
def test_values(text: str, value: Fraction | int) -> None:
    assert evaluate(text) == value


trees = st.recursive(
    st.integers(0, 12).map(str) | st.decimals(0, 9, places=2).map(str),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map(" ".join),
        st.tuples(inner, st.integers(0, 3).map(str)).map(lambda pair: f"({pair[0]})**{pair[1]}"),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-{text}"),
    ),
    max_leaves=12,
)


@given(trees)
def test_the_value_is_that_of_pythons_syntax_tree(text: str) -> None:
    try:
        expected = by_pythons_parser(text)
    except ZeroDivisionError:
        with pytest.raises(ExpressionError, match="division by zero"):
            evaluate(text)
    else:
        if max(expected.numerator.bit_length(), expected.denominator.bit_length()) < 500:
            try:
                assert evaluate(text) == expected
            except ExpressionError as error:
                assert "bits" in str(error)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *(("", "ends too early"), ("2 +", "ends too early"), ("(2", "not closed"), ("2)", "without")),
        *(("2 3", "unexpected"), ("* 2", "missing before '*'"), ("1 / 0", "division by zero"), ("()", "missing")),
        *(("0 ** -1", "division by zero"), ("2 ** 0.5", "must be an integer"), ("2 ** 65", "at most 64")),
        *(
            ("__import__('os')", "'_' is not arithmetic"),
            ("2 % 3", "'%' is not"),
            ("1e5", "'e' is not"),
            ("٣", "is not"),
        ),
    ],
)
def test_what_is_no_expression(text: str, message: str) -> None:
    with pytest.raises(ExpressionError, match=message.replace("*", r"\*")):
        evaluate(text)


def test_bounds_hold_before_the_work_is_done() -> None:
    with pytest.raises(ExpressionError, match="bits"):
        evaluate("((9 ** 64) ** 64) ** 64")
    with pytest.raises(ExpressionError, match="bits"):
        evaluate(" * ".join(["(9 ** 64)"] * 50))
    with pytest.raises(ExpressionError, match="levels"):
        evaluate("(" * 100_000 + "1" + ")" * 100_000)
    with pytest.raises(ExpressionError, match="levels"):
        evaluate("-" * 100_000 + "1")
    with pytest.raises(ExpressionError, match="digits"):
        evaluate("9" * 1_000_000)
    assert evaluate("(" * 200 + "1" + ")" * 200) == 1
    assert evaluate(" + ".join(["1"] * 5000)) == 5000
    assert evaluate(f"(2 ** 64) ** {MAX_BITS // 64 - 1}") == 2 ** (MAX_BITS - 64)


@given(st.text(alphabet="0123456789.+-*/() ", max_size=40))
def test_any_text_is_a_value_or_an_expression_error(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        assert isinstance(evaluate(text), Fraction)
