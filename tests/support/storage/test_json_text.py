"""JSON without NaN, whatever is written."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.support.storage.json_text import json_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def same(written: object, value: object) -> bool:
    if isinstance(value, dict):
        return isinstance(written, dict) and all(same(written[key], item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return isinstance(written, list) and all(map(same, written, value))
    if isinstance(value, float) and not math.isfinite(value):
        return written is None
    return written == value


@given(VALUES)
def test_any_value_is_written_so_that_any_reader_can_read_it(value: object) -> None:
    assert same(json.loads(json_text(value), parse_constant=refuse), value)


def test_what_json_does_not_have_is_not_hidden() -> None:
    with pytest.raises(TypeError):
        json_text({"a": object()})
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises((ValueError, RecursionError)):
        json_text(loop)
