"""The choice in a written answer, by a table of several hundred and by what must hold for any text."""

import re
import string
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_from_scratch.evals.answers.choices_in_text import read_choice

CHOICES = {"A": "red", "B": "green", "C": "blue", "D": "yellow"}


def table() -> list[tuple[str, str | None]]:
    rows = []
    for line in Path(__file__).with_name("written_choices.txt").read_text(encoding="utf-8").splitlines()[1:]:
        if line and not line.startswith("=="):
            letter, _, answer = line.partition("|")
            rows.append((answer.replace("⏎", "\n"), None if letter == "-" else letter))
    return rows


@pytest.mark.parametrize(("answer", "letter"), table())
def test_written_answers(answer: str, letter: str | None) -> None:
    assert read_choice(answer, CHOICES) == letter


def test_the_table_is_large_and_much_of_it_can_be_told() -> None:
    rows = table()
    assert len(rows) > 400 and sum(letter is not None for _, letter in rows) > 300


WRAPPINGS = r"""@|(@)|@)|@.|**@**|Answer: @|**Answer:** @|The answer is @.|the answer is (@).|\boxed{@}|I'd go with @.
@ is correct.|The correct option is @|{"answer": "@"}|Final answer: @|<answer>@</answer>
Antwort: @|答案是@|La respuesta es @.|It's @.
Option @|$\text{@}$|<think>Is it (@)?</think>(@)"""


@pytest.mark.parametrize("wrapping", re.split(r"[|\n]", WRAPPINGS))
def test_every_letter_in_every_wrapping(wrapping: str) -> None:
    many = {letter: f"choice number {place}" for place, letter in enumerate(string.ascii_uppercase)}
    for letter in many:
        assert read_choice(wrapping.replace("@", letter), many) == letter
        assert read_choice(wrapping.replace("@", letter), {"0": "none"}) is None


clear = [
    "The answer is {}.",
    "Answer: {}",
    "**Answer:** ({})",
    "The correct option is {}.",
    "The right answer is ({}).",
]
letters = st.sampled_from("ABCD")


@settings(deadline=None)
@given(st.sampled_from(clear), letters, st.sampled_from(clear), letters)
def test_answers_that_contradict_each_other_tell_nothing_unless_corrected(
    one: str, first: str, other: str, last: str
) -> None:
    both = one.format(first) + "\n" + other.format(last)
    assert read_choice(both, CHOICES) == (first if first == last else None)
    assert read_choice(f"{one.format(first)}\nWait, I made a mistake.\n{other.format(last)}", CHOICES) == last
    assert read_choice(f"{one.format(first)}\nFinal answer: {last}", CHOICES) == last


@settings(deadline=None)
@given(st.text() | st.text("ABab()*:. \nansweri'`{}\\[]<>/", max_size=60))
def test_any_text_is_read_without_a_failure(text: str) -> None:
    assert read_choice(text, CHOICES) in (*CHOICES, None)
    if not re.search("[a-dA-D]", text) and text.isascii():
        assert read_choice(text, CHOICES) is None


LONG = r"""A |answer |answer is |answer: |(|)|not (A) |\boxed{|{|<answer>|<think>|</think>|B. |(A) |I choose |so |if 
A, |A and |_
*|`|x|Answer: A. Wait, Answer: B. |⟦|it's A |is A correct |option A option |\text{|$|```|答案是|maybe A |final answer """


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


@pytest.mark.parametrize("unit", [*re.split(r"[|\n]", LONG), "\n", " ", "A\n"])
def test_long_answers_take_linear_time(unit: str) -> None:
    assert growth(lambda text: read_choice(text, CHOICES), unit) < 80
