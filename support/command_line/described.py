"""Conversion of JSON to dataclasses, with each field checked against its annotation."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from gpt_from_scratch.support.command_line.settings import means_never


def build(kind: type[Any], document: object, where: str = "") -> Any:
    """Make an instance of the dataclass `kind` from a JSON object; missing fields have their defaults.

    Args:
        where: path of the object in its document, with a dot after it, for messages.

    Raises:
        ValueError: a field is unknown or has a wrong type, or `kind` refuses a value; names the field.
    """
    if not isinstance(document, Mapping):
        raise ValueError(f"{where.removesuffix('.') or 'the config'} should be an object, it is {shown(document)}")
    hints = typing.get_type_hints(kind, include_extras=True)
    names = {f.name for f in dataclasses.fields(kind)}
    if unknown := sorted(document.keys() - names):
        raise ValueError(f"unknown setting {where}{unknown[0]}; a newer release may have written it")
    return kind(**{name: value_of(hints[name], document[name], f"{where}{name}") for name in names & document.keys()})


def value_of(hint: Any, value: object, where: str) -> Any:
    """Convert a JSON value to the type of the annotation `hint`.

    Raises:
        ValueError: it has another type.
    """
    never = means_never(hint)
    hint = _unmarked(hint)
    if never and value in ("inf", None):
        return math.inf
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for option in map(_unmarked, options):
        origin = typing.get_origin(option)
        if dataclasses.is_dataclass(option):
            return build(typing.cast(type[Any], option), value, f"{where}.")
        if option is type(None) and value is None:
            return None
        if origin is Literal and isinstance(value, str) and value in typing.get_args(option):
            return value
        if origin is dict and isinstance(value, dict):
            return value
        if origin is list and isinstance(value, list):
            return [value_of(typing.get_args(option)[0], item, f"{where}[{n}]") for n, item in enumerate(value)]
        if origin is tuple and isinstance(value, list) and typing.get_args(option)[1:] == (...,):
            return tuple(value_of(typing.get_args(option)[0], item, f"{where}[{n}]") for n, item in enumerate(value))
        if origin is tuple and isinstance(value, list) and len(value) == len(typing.get_args(option)):
            return tuple(value_of(o, v, where) for o, v in zip(typing.get_args(option), value, strict=True))
        if option is Path and isinstance(value, str):
            return Path(value)
        if option is float and _is_finite_number(value):
            return float(typing.cast(float, value))
        if option in (int, str, bool) and type(value) is option:
            return value
    raise ValueError(f"{where} is {shown(value)}, expected {_name(hint)}")


def _unmarked(hint: Any) -> Any:
    """An annotation without its marks: int of Annotated[int, range(5)]."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint


def shown(value: object) -> str:
    """A value for a message, at most a line long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]} ..."


def _name(hint: Any) -> str:
    hint = _unmarked(hint)
    if typing.get_origin(hint) is Literal:
        return " or ".join(map(repr, typing.get_args(hint)))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(_name(option) for option in typing.get_args(hint))
    if typing.get_origin(hint) is not None:
        return str(hint)
    return "null" if hint is type(None) else str(getattr(hint, "__name__", hint))


def _is_finite_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False
