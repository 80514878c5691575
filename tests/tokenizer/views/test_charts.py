"""The page's plots: what an axis says is where it says it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.tokenizer.views.charts import HEIGHT, axis, length_chart, merges_chart, ticks

LABEL = re.compile(r'<text x="54" y="([\d.]+)" text-anchor="end">([^<]+)</text>')
BASE = HEIGHT - 44.0


def up(drawing: str) -> list[tuple[float, float]]:
    """(height, number) of every label of the vertical axis."""
    return [
        (BASE - (float(y) - 4), float(text.replace(",", "").removesuffix(" %"))) for y, text in LABEL.findall(drawing)
    ]


@given(st.integers(0, 2_000_000))
def test_the_labels_of_tokens_stand_where_their_numbers_are(highest: int) -> None:
    found = up(str(merges_chart({"x": [(0, highest), (5, highest // 2)]})))
    assert 2 <= len(found) <= 7 and len({number for _, number in found}) == len(found)
    scale = (HEIGHT - 12 - 44) / found[-1][1]
    assert found[-1][1] >= highest > found[-2][1] or highest <= 1
    for place, number in found:
        assert place == pytest.approx(number * scale, abs=0.06)


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=16))
def test_the_labels_of_shares_stand_where_their_numbers_are(counts: list[int]) -> None:
    found = up(str(length_chart({"x": dict(enumerate(counts, start=1))})))
    scale = (HEIGHT - 12 - 44) / found[-1][1]
    assert len(found) >= 2 and found[-1][1] >= 100 * max(counts) / sum(counts) * (1 - 1e-9)
    for place, number in found:
        assert place == pytest.approx(number * scale, abs=0.06)


@given(st.floats(1e-6, 1e9))
def test_ticks_are_round_and_few(highest: float) -> None:
    found = ticks(highest)
    assert 2 <= len(found) <= 6 and found[0] == 0 and found[-1] <= highest * (1 + 1e-9)
    assert f"{found[1]:.0e}"[0] in "125"


@given(st.floats(1e-6, 1e9))
def test_an_axis_ends_with_a_round_number(highest: float) -> None:
    found = axis(highest)
    assert found[-1] >= highest * (1 - 1e-9) and found[-2] < highest
    assert found[-1] == pytest.approx(found[1] * (len(found) - 1))
