"""Functions of every type that a tool may take."""

import dataclasses
import datetime
import enum
import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field


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
