"""Descriptions of tools and their parameters, what a tool binds, and what cannot be a tool."""

import functools
import warnings
from typing import Annotated, Literal

import pytest
from pydantic import Field

from gpt_from_scratch.evals.function_calling.strict_schema import OPENAI
from gpt_from_scratch.evals.function_calling.tools import FunctionTool, UnsupportedToolError, python_type_to_json_schema
from tests.evals.function_calling.tool_functions import awkward_names


def weather(city: str, days: Annotated[int, Field(description="how many")] = 1, unit: Literal["C", "F"] = "C") -> str:
    """Look the weather up.

    From a satellite.

    Args:
        city: where
        days: overridden by the annotation
    """
    return f"{city} {days} {unit}"


def test_descriptions_come_from_annotation_then_docstring() -> None:
    schema = FunctionTool(weather).schema(False, OPENAI)
    assert schema.description == "Look the weather up.\n\nFrom a satellite."
    assert schema.parameters == {
        "type": "object",
        "additionalProperties": False,
        "required": ["city"],
        "properties": {
            "city": {"type": "string", "description": "where"},
            "days": {"type": "integer", "description": "how many", "default": 1},
            "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
        },
    }


def test_a_strict_schema_in_full() -> None:
    assert FunctionTool(weather).schema(True, OPENAI).parameters == {
        "type": "object",
        "additionalProperties": False,
        "required": ["city", "days", "unit"],
        "properties": {
            "city": {"type": "string", "description": "where"},
            "days": {
                "type": ["integer", "null"],
                "description": "how many (optional; null means the default, 1)",
            },
            "unit": {
                "anyOf": [{"type": "string", "enum": ["C", "F"]}, {"type": "null"}],
                "description": '(optional; null means the default, "C")',
            },
        },
    }


def test_partials_hide_what_they_bind() -> None:
    def count(tokenizer: object, text: str, sep: str = " ", *, times: int = 1) -> int:
        """Count.

        Args:
            text: what to count in
        """
        return text.count(sep) * times

    for partial in (
        functools.partial(count, object()),
        functools.partial(count, tokenizer=object()),
        functools.update_wrapper(functools.partial(count, object()), count),
        functools.partial(functools.partial(count, object()), times=2),
    ):
        tool = FunctionTool(partial)
        properties = tool.schema(True, OPENAI).parameters["properties"]
        assert tool.name == "count" and "tokenizer" not in properties
        assert properties["text"]["description"] == "what to count in"
        positional, named = tool.bind({"text": "a b c"}, null_means_default=True)
        assert partial(*positional, **named) in (2, 4)
    assert "times" not in properties


def test_methods_and_callable_objects() -> None:
    class Shop:
        def price(self, item: str) -> float:
            """What it costs."""
            return len(item)

        def __call__(self, item: str) -> float:
            """What it costs, too."""
            return len(item)

    assert FunctionTool(Shop().price).lax_schema()["required"] == ["item"]
    assert FunctionTool(Shop()).name == "Shop"
    assert FunctionTool(Shop()).lax_schema()["required"] == ["item"]


def test_what_cannot_be_a_tool_says_why() -> None:
    def untyped(a) -> None: ...  # type: ignore[no-untyped-def]
    def star(*args: int) -> None: ...
    def starred(**kwargs: int) -> None: ...
    def unjsonable(a: socket_like) -> None: ...
    def unresolved(a: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    for function, message in [
        (untyped, "parameter 'a' has no type; write a: str"),
        (star, r"name every parameter"),
        (starred, r"name every parameter"),
        (unjsonable, r"whose type JSON cannot carry.*functools.partial"),
        (unresolved, "Nowhere"),
        (lambda a: a, "is no name for a tool"),
    ]:
        with pytest.raises(UnsupportedToolError, match=message):
            FunctionTool(function)


class socket_like:
    """No pydantic schema exists for it."""


def test_a_default_that_json_lacks_is_left_out_quietly() -> None:
    sentinel = object()

    def function(a: int = sentinel) -> None: ...  # type: ignore[assignment]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schema = FunctionTool(function).schema(True, OPENAI)
        assert "default" not in FunctionTool(function).lax_schema()["properties"]["a"]
    assert schema.parameters["properties"]["a"] == {
        "type": ["integer", "null"],
        "description": "(optional; null means the default)",
    }


def test_names_that_are_also_keywords_survive() -> None:
    properties = FunctionTool(awkward_names).lax_schema()["properties"]
    assert list(properties) == ["schema", "copy", "_x", "model_config", "title", "properties"]


def test_the_type_of_what_is_bound_need_not_be_known() -> None:
    def count(tokenizer: "OnlyForTheTypeChecker", text: str) -> int:  # type: ignore[name-defined]  # noqa: F821
        return len(text)

    assert FunctionTool(functools.partial(count, object())).lax_schema()["required"] == ["text"]
    with pytest.raises(UnsupportedToolError, match="OnlyForTheTypeChecker"):
        FunctionTool(functools.partial(count, text=""))


def test_a_docstring_in_no_style_is_all_about_the_function() -> None:
    def tool(a: int) -> None: ...

    for text in (":param", "Args:\n  :::", "\ud83d half", "Parameters\n-----\n", ":param a b c d e: x\n:raises"):
        tool.__doc__ = text
        FunctionTool(tool).schema(True, OPENAI).description.encode()


def test_the_schema_of_a_type() -> None:
    assert python_type_to_json_schema(str) == {"type": "string"}
    assert python_type_to_json_schema(list[int]) == {"type": "array", "items": {"type": "integer"}}
    assert python_type_to_json_schema(Literal["a", "b"]) == {"type": "string", "enum": ["a", "b"]}
    assert python_type_to_json_schema(bool | None) == {"anyOf": [{"type": "boolean"}, {"type": "null"}]}
    with pytest.raises(UnsupportedToolError, match="has no JSON schema"):
        python_type_to_json_schema(object())
