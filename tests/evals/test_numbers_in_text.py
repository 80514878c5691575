import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from gpt_from_scratch.evals.numbers_in_text import read_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("3", 3), ("-3.5", -3.5), (".5", 0.5), ("5.", 5), ("+2", 2), ("−12", -12), ("- 5", -5), ("  7\n", 7)),
        *(("1,234.5", 1234.5), ("$1,000,000$", 1e6), ("1.5e3", 1500), ("1.5 × 10^3", 1500), ("1.5×10⁻³", 0.0015)),
        *((r"2.5 \times 10^{-2}", 0.025), ("10^3", 1000), ("10**3", 1000), ("3/4", 0.75), ("1 / 3", 1 / 3)),
        *((r"\frac{1}{4}", 0.25), (r"-\frac{3}{4}", -0.75), (r"\boxed{12.5}", 12.5), ("**-0.25**", -0.25)),
        *(("The answer is 12.", 12), ("about 42 apples", 42), ("It is 8 (not 4)", 4), ("12,", 12)),
        *(("x = 5 so y = -7", -7), ("2 + 3 = 5", 5), ("5 ≈ 5.01", 5.01), ("(8 - 4) = 4", 4), ("= 3/4", 0.75)),
        *(("Step 1: 3 + 4 = 7\nAnswer: **7**", 7), ("the value is 5 = ", 5)),
    ],
)
def test_what_models_write(text: str, value: float) -> None:
    assert read_number(text) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        "10/0",
        "1e999",
        "v1.2.3",
        "(8 - 4)",
        "8-4",
        "3 * 4",
        "(8 / 2)",
        "(10 ** 3)",
        "2 ** 3",
        "((7 - 1) ** 2)",
    ],
)
def test_what_is_no_answer(text: str) -> None:
    assert read_number(text) is None


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30))
def test_every_number_is_read_as_python_writes_it(value: float) -> None:
    assert read_number(str(value)) == float(value)
    assert read_number(f"The answer is {value}.") == float(value)


@given(st.integers(-(10**12), 10**12))
def test_thousands(value: int) -> None:
    assert read_number(f"{value:,}") == value


@given(st.text())
def test_any_text_is_read_without_a_failure(text: str) -> None:
    value = read_number(text)
    assert value is None or math.isfinite(value)


def test_long_digits_take_linear_time() -> None:
    assert read_number("1" * 100_000 + ".5.5") is None
    assert read_number("9" * 100_000) is None
