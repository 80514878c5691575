"""A function's signature, its schema and its calls, for every type a function may take."""

import dataclasses
import datetime
import json
import typing
from typing import Any, Literal

import hypothesis.strategies as st
import pydantic
import pytest
from hypothesis import given, settings

from gpt_from_scratch.evals.function_calling.strict_schema import ANTHROPIC, OPENAI, Dialect
from gpt_from_scratch.evals.function_calling.tools import FunctionTool, UnsupportedToolError
from tests.evals.function_calling.strict_schemas import assert_strict
from tests.evals.function_calling.tool_functions import (
    NOT_STRICT,
    STRICT,
    Address,
    Label,
    Point,
    Tree,
    constrained,
    dates,
    default_int,
    default_list,
    items_bounded,
    open_dict,
    optional_five,
    pair,
    plain,
    positional_only,
    recursive,
)


@pytest.mark.parametrize("function", STRICT, ids=lambda f: f.__name__)
def test_strict_schemas_are_in_the_subset(function: Any) -> None:
    schema = FunctionTool(function).schema(True, OPENAI)
    assert schema.strict
    assert_strict(schema.parameters, schema.parameters)
    json.dumps(schema.parameters)


def test_the_table_is_long_enough() -> None:
    assert len(STRICT) >= 25


@pytest.mark.parametrize("function", NOT_STRICT, ids=lambda f: f.__name__)
def test_what_strict_lacks_falls_back_with_one_warning(function: Any) -> None:
    tool = FunctionTool(function)
    with pytest.warns(UserWarning, match="cannot be strict: .*parameter 'a'") as caught:
        schema = tool.schema("auto", OPENAI)
    assert len(caught) == 1 and not schema.strict
    assert schema.parameters == tool.lax_schema()
    with pytest.raises(UnsupportedToolError, match=r"Change the type, or say strict=False"):
        tool.schema(True, OPENAI)


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": [], "additionalProperties": False},
        {"type": "object", "properties": {}, "required": []},
        {
            "type": "object",
            "properties": {"a": {"type": "integer", "default": 3}},
            "required": ["a"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"a": {"oneOf": [{"type": "integer"}, {"type": "null"}]}},
            "required": ["a"],
            "additionalProperties": False,
        },
        {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False},
    ],
)
def test_the_validator_rejects_what_openai_does(broken: dict[str, Any]) -> None:
    with pytest.raises((AssertionError, KeyError)):
        assert_strict(broken, broken)


def test_limits_of_the_subset() -> None:
    deep: Any = int
    for _ in range(11):
        deep = list[deep]  # type: ignore[valid-type]

    def too_deep(a: Any) -> None: ...
    def too_many(a: Any) -> None: ...

    too_deep.__annotations__["a"] = deep
    too_many.__annotations__["a"] = Literal[tuple(map(str, range(1001)))]
    with pytest.raises(UnsupportedToolError, match="deeper than the 10 levels"):
        FunctionTool(too_deep).schema(True, OPENAI)
    with pytest.raises(UnsupportedToolError, match="1001 enum values"):
        FunctionTool(too_many).schema(True, OPENAI)
    with pytest.raises(UnsupportedToolError, match="2 properties are more than the 1"):
        FunctionTool(default_int).schema(True, Dialect("small", frozenset(), recursion=True, most_properties=1))
    with pytest.raises(UnsupportedToolError, match="contains itself, which Anthropic does not allow"):
        FunctionTool(recursive).schema(True, ANTHROPIC)


def test_a_restriction_the_dialect_lacks_goes_into_the_description() -> None:
    openai = FunctionTool(constrained).schema(True, OPENAI).parameters["properties"]
    anthropic = FunctionTool(constrained).schema(True, ANTHROPIC).parameters["properties"]
    assert openai["a"]["maximum"] == 9 and "minLength: 2" in openai["b"]["description"]
    assert "maximum: 9" in anthropic["a"]["description"] and "maximum" not in anthropic["a"]


def instance(annotation: Any) -> st.SearchStrategy[Any]:
    """Random values of a type: floats that JSON has, and bounds where the type is annotated with them."""
    known: dict[Any, st.SearchStrategy[Any]] = {
        float: st.floats(allow_nan=False, allow_infinity=False),
        datetime.datetime: st.datetimes(timezones=st.just(datetime.UTC)),
        typing.get_type_hints(constrained, include_extras=True)["b"]: st.text(min_size=2),
        typing.get_type_hints(constrained, include_extras=True)["a"]: st.integers(0, 9),
        typing.get_type_hints(items_bounded, include_extras=True)["a"]: st.lists(st.integers(), min_size=1, max_size=3),
    }
    return known[annotation] if annotation in known else st.from_type(annotation)


for _type in (Point, Label):
    st.register_type_strategy(_type, st.builds(_type, **{f.name: instance(f.type) for f in dataclasses.fields(_type)}))


trees = st.deferred(lambda: st.builds(Tree, value=st.integers(), children=st.lists(trees, max_size=2)))


st.register_type_strategy(Tree, trees)


st.register_type_strategy(Address, st.builds(Address, street=st.text(), number=st.integers(min_value=1)))


TYPES_OF_JSON: dict[str, Any] = {
    "string": str,
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
    "integer": int,
    "number": (int, float),
}


def conforms(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether JSON fits a schema: the keywords that our schemas use, as the JSON Schema specification defines them."""
    if "$ref" in schema:
        return conforms(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    kinds = schema.get("type", list(TYPES_OF_JSON))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not any(isinstance(value, TYPES_OF_JSON[k]) and isinstance(value, bool) <= (k == "boolean") for k in kinds):
        return False
    checks = [
        "enum" not in schema or value in schema["enum"],
        "const" not in schema or value == schema["const"],
        "anyOf" not in schema or any(conforms(value, choice, root) for choice in schema["anyOf"]),
        "oneOf" not in schema or sum(conforms(value, choice, root) for choice in schema["oneOf"]) == 1,
    ]
    if isinstance(value, int | float) and not isinstance(value, bool):
        checks += [value >= schema.get("minimum", value), value <= schema.get("maximum", value)]
    if isinstance(value, str):
        checks.append(len(value) >= schema.get("minLength", 0))
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        items = [*first, *[schema.get("items", {})] * len(value)]
        checks += [conforms(item, kind, root) for item, kind in zip(value, items, strict=False)]
        checks.append(schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)))
    if isinstance(value, dict):
        properties, more = schema.get("properties", {}), schema.get("additionalProperties", {})
        checks.append(set(schema.get("required", [])) <= value.keys())
        for key, item in value.items():
            inner = properties.get(key, more)
            checks.append(inner is not False and conforms(item, {} if inner is True else inner, root))
    return all(checks)


@pytest.mark.parametrize("strict", [False, True], ids=["lax", "strict"])
@pytest.mark.parametrize("function", [*STRICT, pair, open_dict], ids=lambda f: f.__name__)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_random_instance_survives_schema_json_and_call(function: Any, strict: bool, data: st.DataObject) -> None:
    tool = FunctionTool(function)
    hints = {n: t for n, t in typing.get_type_hints(function, include_extras=True).items() if n != "return"}
    values = {name: data.draw(instance(hint), label=name) for name, hint in hints.items()}
    adapters = {name: pydantic.TypeAdapter(hint) for name, hint in hints.items()}
    sent = json.loads(json.dumps({name: adapters[name].dump_python(v, mode="json") for name, v in values.items()}))
    schema = tool.schema("auto" if strict else False, OPENAI) if function in STRICT else tool.schema(False, OPENAI)
    assert schema.strict == (strict and function in STRICT)
    assert conforms(sent, schema.parameters, schema.parameters)
    assert not conforms({**sent, "more": 1}, schema.parameters, schema.parameters)
    for name in schema.parameters.get("required", []):
        assert not conforms({k: v for k, v in sent.items() if k != name}, schema.parameters, schema.parameters)
    positional, named = tool.bind(sent, null_means_default=strict)
    received = dict(zip(hints, positional, strict=False)) | named
    assert received == {name: adapters[name].validate_python(value) for name, value in values.items()}


def test_null_means_the_default_only_where_none_is_no_value() -> None:
    assert FunctionTool(default_int).bind({"a": 1, "b": None}, null_means_default=True) == ([], {"a": 1})
    assert FunctionTool(optional_five).bind({"a": None}, null_means_default=True) == ([], {"a": None})
    with pytest.raises(pydantic.ValidationError):
        FunctionTool(default_int).bind({"a": 1, "b": None}, null_means_default=False)
    with pytest.raises(pydantic.ValidationError):
        FunctionTool(default_int).bind({"a": None}, null_means_default=True)


def test_defaults_are_pythons_own() -> None:
    """Parameters that were not sent are not passed: a mutable or unserialisable default stays the function's."""
    assert FunctionTool(default_list).bind({}, null_means_default=False) == ([], {})
    assert FunctionTool(positional_only).bind({"a": 1, "c": 9}, null_means_default=False) == ([1, 2, 9], {})
    assert FunctionTool(positional_only).bind({"a": 1}, null_means_default=False) == ([1], {})


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(pydantic.ValidationError, match="p0|b\n.*Extra inputs"):
        FunctionTool(plain).bind({"a": 1, "b": 2}, null_means_default=False)
    with pytest.raises(pydantic.ValidationError):
        FunctionTool(plain).bind({"p0": 1}, null_means_default=False)


def test_validation_is_lax_by_default_and_strict_by_choice() -> None:
    assert FunctionTool(plain).bind({"a": "3"}, null_means_default=False) == ([], {"a": 3})
    with pytest.raises(pydantic.ValidationError):
        FunctionTool(plain, validation="strict").bind({"a": "3"}, null_means_default=False)
    strict = FunctionTool(dates, validation="strict")
    _, named = strict.bind({"a": "2020-01-02", "b": "2020-01-02T03:04:05Z"}, null_means_default=False)
    assert named["a"] == datetime.date(2020, 1, 2)
