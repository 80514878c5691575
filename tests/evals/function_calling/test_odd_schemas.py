"""Schemas of types that JSON or a vendor has no words for."""

import dataclasses
import datetime
import decimal
import enum
import inspect
import json
import pathlib
import re
import sys
import typing
from typing import Annotated, Any, Literal

import pydantic
import pytest
import typing_extensions
from pydantic import BaseModel, Field

from gpt_from_scratch.evals.function_calling.strict_schema import ANTHROPIC, OPENAI, Dialect
from gpt_from_scratch.evals.function_calling.tools import FunctionTool, UnsupportedToolError
from tests.evals.function_calling.strict_schemas import assert_strict

INFINITY, NAN = float("inf"), float("nan")


@dataclasses.dataclass
class Unbounded:
    low: float = -INFINITY
    odd: float = NAN


class Bounds(BaseModel):
    default: Annotated[float, Field(le=INFINITY)] = 1.0


class Numbers(enum.Enum):
    ALL = INFINITY


class Nothing(enum.Enum):
    pass


class OldTypedDict(typing.TypedDict):
    a: int


class Whole(typing_extensions.TypedDict):
    a: int


LookAhead = Annotated[str, pydantic.WithJsonSchema({"type": "string", "pattern": "^(?!0)[0-9]+$"})]


Twice = Annotated[str, pydantic.WithJsonSchema({"type": "string", "pattern": r"^(a|b)\1$"})]


Plain = Annotated[str, pydantic.WithJsonSchema({"type": "string", "pattern": r"^(?:a|b)+$"})]


def default_infinite(a: float = INFINITY, b: float = NAN, c: list[float] = [-INFINITY]) -> None: ...  # noqa: B006


def default_half(a: str = "\ud83d") -> None: ...


def of_unbounded(a: Unbounded, b: Bounds) -> None: ...


def decimals(a: decimal.Decimal, b: decimal.Decimal = decimal.Decimal("0.1")) -> None: ...


def look_ahead(a: LookAhead, b: Twice, c: Plain) -> None: ...


def typed_dict(a: Whole) -> None: ...


def paths(a: pathlib.Path, b: bytes, c: datetime.timedelta, d: frozenset[int], e: tuple[int, ...]) -> None: ...


def mixed(a: Literal["x", 1, None, True]) -> None: ...


@pytest.mark.filterwarnings("ignore:tool")
@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC], ids=lambda dialect: dialect.vendor)
@pytest.mark.parametrize(
    "function",
    [default_infinite, default_half, of_unbounded, decimals, look_ahead, typed_dict, paths, mixed],
    ids=lambda function: function.__name__,
)
def test_every_schema_is_json_and_a_strict_one_in_the_subset(function: Any, dialect: Dialect) -> None:
    for strict in (False, "auto"):
        schema = FunctionTool(function).schema(strict, dialect)  # type: ignore[arg-type]
        json.dumps(schema.parameters, allow_nan=False, ensure_ascii=False).encode()
        assert schema.strict is (strict == "auto" and function is not of_unbounded)
        if schema.strict:
            assert_strict(schema.parameters, schema.parameters)
            for pattern in re.findall(r'"pattern": "([^"]*)"', json.dumps(schema.parameters)):
                assert "(?!" not in pattern and "\\1" not in pattern
    assert list(FunctionTool(function).lax_schema()["properties"]) == list(inspect.signature(function).parameters)


def test_a_pattern_the_vendors_lack_goes_into_the_description() -> None:
    properties = FunctionTool(look_ahead).schema(True, OPENAI).parameters["properties"]
    assert "pattern" not in properties["a"] and "(?!0)" in properties["a"]["description"]
    assert properties["c"]["pattern"] == "^(?:a|b)+$"


def test_a_description_may_be_a_word_beside_the_type() -> None:
    def find(
        city: Annotated[str, "The city"],
        unit: Annotated[str | None, "C or F"] = None,
        days: Annotated[int, Field(description="how many"), "not this"] = 1,
        hour: Annotated[int, typing_extensions.Doc("of the day")] = 0,
    ) -> None:
        """Find.

        Args:
            city: not this
        """

    for schema in (FunctionTool(find).lax_schema(), FunctionTool(find).schema(True, OPENAI).parameters):
        said = {name: value["description"].partition(" (")[0] for name, value in schema["properties"].items()}
        assert {name: text.partition(" default")[0] for name, text in said.items()} == {
            "city": "The city",
            "unit": "C or F",
            "days": "how many",
            "hour": "of the day",
        }


@pytest.mark.parametrize(
    "hint",
    [
        *(Numbers, Nothing, type[int], typing.Self, typing.Never, typing.Iterator[int], 5, "1 +", "Nowhere.at.all"),
        *(typing.Callable[[int], int], list[typing.Callable[[], int]], complex | slice, range, typing.ClassVar[int]),
        *(
            Annotated[int, Field(gt=-INFINITY)],
            Annotated[str, Field(pattern="^(?=a)")],
            Annotated[str, Field(pattern="(")],
        ),
        *([OldTypedDict] if sys.version_info < (3, 12) else []),
    ],
    ids=str,
)
def test_a_type_without_a_schema_is_named_with_tool_and_parameter(hint: Any) -> None:
    def tool(fine: int, odd: Any) -> None: ...

    tool.__annotations__["odd"] = hint
    with pytest.raises(UnsupportedToolError, match="tool 'tool'") as caught:
        FunctionTool(tool)
    text = str(caught.value)
    assert len(text) < 600 and len(text.splitlines()) <= 3
    assert "'odd'" in text or isinstance(hint, str)
    if hint is OldTypedDict:
        assert "typing_extensions" in text
