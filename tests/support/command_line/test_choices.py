"""A setting of a few words, from Python: any other word is refused by every config that has one."""

import dataclasses
from typing import Any, Literal

import pytest

from gpt_from_scratch.support.command_line.choices import check_choices


@dataclasses.dataclass
class Settings:
    kind: Literal["a", "b"] = "a"
    width: Literal["narrow"] | int | None = None
    free: str = "x"

    def __post_init__(self) -> None:
        check_choices(self, "my.")


@pytest.mark.parametrize(
    "values", [{}, {"kind": "b"}, {"width": "narrow"}, {"width": 3}, {"width": None}, {"free": "y"}]
)
def test_its_words_and_types_are_taken(values: dict[str, Any]) -> None:
    Settings(**values)


@pytest.mark.parametrize(
    ("name", "value"), [("kind", "A"), ("kind", "c"), ("kind", None), ("width", "wide"), ("width", 1.5)]
)
def test_any_other_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"my\.{name} is {value!r}: it is one of '(a|narrow)'"):
        Settings(**{name: value})
