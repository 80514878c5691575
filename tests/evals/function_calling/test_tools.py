"""A function's signature, its schema and its calls, for every type a function may take."""

import dataclasses
import datetime
import decimal
import enum
import functools
import inspect
import json
import pathlib
import re
import sys
import typing
import uuid
import warnings
from typing import Annotated, Any, Literal

import hypothesis.strategies as st
import pydantic
import pytest
import typing_extensions
from hypothesis import given, settings
from pydantic import BaseModel, Field

from gpt_from_scratch.evals.function_calling.strict_schema import ANTHROPIC, FORMATS, OPENAI, Dialect
from gpt_from_scratch.evals.function_calling.tools import FunctionTool, UnsupportedToolError, python_type_to_json_schema


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Priority(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclasses.dataclass
class Point:
    x: float
    y: float


@dataclasses.dataclass
class Label:
    text: str
    note: str | None = None


@dataclasses.dataclass
class Defaulted:
    size: int = 3


class Address(BaseModel):
    street: str
    number: int = Field(ge=1)


class Person(BaseModel):
    """Someone."""

    name: str
    address: Address
    friends: list["Person"] = []


class Tree(BaseModel):
    value: int
    children: list["Tree"]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    good: bool


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


def plain(a: int) -> int: ...
def several(a: int, b: float, c: str, d: bool) -> None: ...
def default_int(a: int, b: int = 3) -> None: ...
def default_str(a: str = "x") -> None: ...
def default_list(a: list[str] = ["x"]) -> None: ...  # noqa: B006
def optional(a: str | None) -> None: ...
def optional_none(a: str | None = None) -> None: ...
def optional_five(a: int | None = 5) -> None: ...
def literal(a: Literal["x", "y", 3]) -> None: ...
def literal_default(a: Literal["x", "y"] = "x") -> None: ...
def enumeration(a: Colour) -> None: ...
def enumeration_default(a: Colour = Colour.RED) -> None: ...
def int_enum(a: Priority) -> None: ...
def listing(a: list[int]) -> None: ...
def nested_list(a: list[list[str]]) -> None: ...
def of_dataclass(a: Point) -> None: ...
def of_dataclasses(a: list[Point]) -> None: ...
def dataclass_none_default(a: Label) -> None: ...
def dataclass_default(a: Point = Point(1.0, 2.0)) -> None: ...  # noqa: B008
def model(a: Address) -> None: ...
def models(a: list[Address] | None = None) -> None: ...
def recursive(a: Tree) -> None: ...
def union(a: int | str) -> None: ...
def union_of_models(a: Cat | Dog) -> None: ...
def discriminated(a: Pet) -> None: ...
def dates(a: datetime.date, b: datetime.datetime) -> None: ...
def identifier(a: uuid.UUID) -> None: ...
def constrained(a: Annotated[int, Field(ge=0, le=9)], b: Annotated[str, Field(min_length=2)]) -> None: ...
def items_bounded(a: Annotated[list[int], Field(min_length=1, max_length=3)]) -> None: ...
def a_set(a: set[int]) -> None: ...
def keyword_only(*, a: int, b: str = "") -> None: ...
def positional_only(a: int, b: int = 2, c: int = 3, /) -> None: ...
def awkward_names(schema: int, copy: str, _x: int, model_config: bool, title: str, properties: int) -> None: ...
def nothing() -> None: ...


STRICT = [
    *(plain, several, default_int, default_str, default_list, optional, optional_none, optional_five, literal),
    *(literal_default, enumeration, enumeration_default, int_enum, listing, nested_list, of_dataclass, of_dataclasses),
    *(
        dataclass_none_default,
        dataclass_default,
        model,
        models,
        recursive,
        union,
        union_of_models,
        discriminated,
        dates,
    ),
    *(identifier, constrained, items_bounded, a_set, keyword_only, positional_only, awkward_names, nothing),
]


def open_dict(a: dict[str, int]) -> None: ...
def anything(a: Any) -> None: ...
def pair(a: tuple[int, str]) -> None: ...
def bare_list(a: list) -> None: ...  # type: ignore[type-arg]
def nested_default(a: Defaulted) -> None: ...
def nested_list_default(a: Person) -> None: ...


NOT_STRICT = [open_dict, anything, pair, bare_list, nested_default, nested_list_default]
TYPES = {"string", "number", "integer", "boolean", "object", "array", "null"}
KEYWORDS = {
    **dict.fromkeys(("type", "enum", "anyOf", "items", "properties", "required", "additionalProperties"), True),
    **dict.fromkeys(("description", "$ref", "$defs", "pattern", "format", "multipleOf", "minItems", "maxItems"), True),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), True),
}


def assert_strict(schema: Any, root: dict[str, Any], *, is_root: bool = True, depth: int = 1) -> None:
    """OpenAI's rules for strict schemas, written from its guide and not from our code."""
    assert depth <= 10
    assert schema.keys() <= KEYWORDS.keys(), schema.keys() - KEYWORDS.keys()
    if is_root:
        assert schema["type"] == "object" and "anyOf" not in schema
        for definition in schema.get("$defs", {}).values():
            assert_strict(definition, root, is_root=False, depth=depth)
    else:
        assert "$defs" not in schema
    if "$ref" in schema:
        assert schema.keys() == {"$ref"}, "nothing may stand beside $ref"
        assert schema["$ref"].removeprefix("#/$defs/") in root["$defs"]
        return
    assert {"type", "anyOf", "enum"} & schema.keys(), f"no type: {schema}"
    if "anyOf" in schema:
        assert len(schema["anyOf"]) >= 2 and not {"type", "properties", "items"} & schema.keys()
        for choice in schema["anyOf"]:
            assert_strict(choice, root, is_root=False, depth=depth)
        return
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    assert set(types) <= TYPES
    if "enum" in schema:
        assert schema["enum"]
    if "format" in schema:
        assert schema["format"] in FORMATS
    if "object" in types:
        assert schema["additionalProperties"] is False
        assert schema["required"] == list(schema["properties"])
        for value in schema["properties"].values():
            assert_strict(value, root, is_root=False, depth=depth + 1)
    else:
        assert not {"properties", "required", "additionalProperties"} & schema.keys()
    if "array" in types:
        assert_strict(schema["items"], root, is_root=False, depth=depth + 1)


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
    def unresolved(a: "Nowhere") -> None: ...  # type: ignore[name-defined]

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
    def count(tokenizer: "OnlyForTheTypeChecker", text: str) -> int:  # type: ignore[name-defined]
        return len(text)

    assert FunctionTool(functools.partial(count, object())).lax_schema()["required"] == ["text"]
    with pytest.raises(UnsupportedToolError, match="OnlyForTheTypeChecker"):
        FunctionTool(functools.partial(count, text=""))


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
