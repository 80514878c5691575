"""Numbers are found in text as a reader would find them."""

import math
import re
import time
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from gpt_from_scratch.evals.answers.numbers_in_text import read_number


def table() -> list[tuple[str, float | None]]:
    rows = []
    for line in Path(__file__).with_name("written_numbers.txt").read_text(encoding="utf-8").splitlines()[1:]:
        if line and not line.startswith("=="):
            value, _, answer = line.partition("|")
            rows.append((answer.replace("⏎", "\n"), None if value == "-" else float(value)))
    return rows


@pytest.mark.parametrize(("answer", "value"), table())
def test_written_answers(answer: str, value: float | None) -> None:
    assert read_number(answer) == (None if value is None else pytest.approx(value, rel=1e-12))


def test_the_table_is_large_and_much_of_it_can_be_told() -> None:
    rows = table()
    assert len(rows) > 450 and sum(value is not None for _, value in rows) > 300


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30))
def test_every_number_is_read_as_python_writes_it(value: float) -> None:
    assert read_number(str(value)) == float(value)
    assert read_number(f"The answer is {value}.") == float(value)


@settings(deadline=None)
@given(st.integers(-(10**12), 10**12))
def test_thousands(value: int) -> None:
    assert read_number(f"{value:,}") == value


@settings(deadline=None)
@given(st.integers(-(10**12), 10**12), st.sampled_from([",", "'", "_", "\u00a0", "\u2009", "\u202f", " "]))
def test_groups_of_three(value: int, mark: str) -> None:
    grouped = f"{value:,}".replace(",", mark)
    assert read_number(grouped) == read_number(f"The answer is {grouped}.") == read_number(f"x = {grouped}") == value


@settings(deadline=None)
@given(st.integers(0, 99), st.integers(1, 99), st.integers(1, 99), st.sampled_from(["", "-"]))
def test_mixed_numbers(whole: int, above: int, more: int, sign: str) -> None:
    below = above + more
    value = float(f"{sign}1") * (whole + above / below)
    for written in (f"{sign}{whole} {above}/{below}", f"{sign}{whole}\\frac{{{above}}}{{{below}}}"):
        assert read_number(written) == read_number(f"The answer is {written}.") == pytest.approx(value)


numbers = st.integers(-99, 99).map(str) | st.floats(-99, 99).map(lambda value: f"{value:.2f}")


@settings(deadline=None)
@given(numbers, numbers, st.sampled_from("-+*/×÷^"), st.sampled_from(["", " "]))
def test_a_calculation_is_no_answer_until_it_is_done(first: str, second: str, operator: str, space: str) -> None:
    asked = f"{first}{space}{operator}{space}{second}"
    if operator != "/" and not (operator == "^" and first == "10"):
        assert read_number(asked) is None
    assert read_number(f"{asked} = 7") == 7 and read_number(f"{asked} = - 5") == -5


@settings(deadline=None)
@given(numbers, numbers)
def test_answers_that_contradict_each_other_tell_nothing_unless_corrected(first: str, last: str) -> None:
    same = float(first) == float(last)
    assert read_number(f"The answer is {first}. The answer is {last}.") == (float(last) if same else None)
    assert read_number(f"The answer is {first}.\nWait, I made a mistake. The answer is {last}.") == float(last)
    assert read_number(f"The answer is {first}.\nFinal answer: {last}") == float(last)
    assert read_number(f"{first}\n#### {last}") == float(last)


@settings(deadline=None)
@given(st.text() | st.text("0123456789.,'-+*/^=()[]{}$%× \n\\abe", max_size=40))
def test_any_text_is_read_without_a_failure(text: str) -> None:
    value = read_number(text)
    assert value is None or math.isfinite(value)
    if not re.search(r"[\d½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞⅐⅑⅒]|[^\x00-\x7f]", text):
        assert value is None


def test_long_digits_are_read_or_not_at_all() -> None:
    assert read_number("1" * 100_000 + ".5.5") is None and read_number("9" * 100_000) is None
    assert read_number("0." + "3" * 100_000) == read_number("x = 0." + "3" * 100_000) == pytest.approx(1 / 3)
    assert read_number("The answer is " + "9" * 100_000) is None


LONG = r"""1|1 |1,|1.|1'|1 234 |-|- |--|1-|1=|=|= 1 |1/|1/2 |(|)|(1|1)|x1|^1|10^|10^2
\frac{|\frac{1}{|\boxed{|\boxed{1|#### 1 |answer is 1. |answer
the answer is not 1 |**1** |*1|_1|step 1 |1. |not 1 |1 and |1 or 2, |1 million |$1 |so 1 |is 1. 
½|1½|²|1e|e1|٤|，|５|答案是1|<think>|</think>|1 x """


@pytest.mark.parametrize("unit", [*re.split(r"[|\n]", LONG), "\n", "1\n", "1. 2\n", "#### 1\n", "x = 1\n"])
def test_long_answers_take_linear_time(unit: str) -> None:
    assert growth(read_number, unit) < 80


def growth(read: Callable[[str], object], unit: str) -> float:
    """How many times as long sixteen times the text takes: 16 where the time is linear, 256 where it is quadratic."""

    def seconds(size: int) -> float:
        text, best = unit * (size // len(unit)), float("inf")
        for _ in range(2):
            started = time.process_time()
            read(text)
            best = min(best, time.process_time() - started)
        return best

    return seconds(8_000) / max(seconds(500), 1e-3)
