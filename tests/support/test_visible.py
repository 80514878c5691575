"""Text that hides or steers nothing any more."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.support.visible import visible


def test_controls_become_pictures_and_hidden_characters_escapes() -> None:
    assert visible("a\x1b[31mred\x07\x7f") == "a␛[31mred␇␡"
    assert visible("abc\u202etxt.exe") == "abc\\u202etxt.exe"
    assert (
        visible("zero\u200bwidth \x85 \ue000 \u2028 \U000e0041") == "zero\\u200bwidth \\x85 \\ue000 \\u2028 \\U000e0041"
    )
    assert visible("lone \ud83d") == "lone \\ud83d"


def test_ordinary_text_stays_as_it_is() -> None:
    for text in ("", "One day,\n\tTom ran.", "naïve café 日本 🙂 ÷"):
        assert visible(text) == text


@given(st.text())
def test_what_is_shown_can_be_written_and_is_stable(text: str) -> None:
    shown = visible(text)
    assert not {unicodedata.category(character) for character in shown if character not in "\n\t"} & {
        "Cc",
        "Cf",
        "Cs",
        "Co",
    }
    assert visible(shown) == shown
    shown.encode("utf-8")
