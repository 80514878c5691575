"""The kinds of records, which are the files of `records/`, and the parser for a line of metrics.jsonl."""

import dataclasses
import functools
import types
import typing
from dataclasses import fields
from typing import Annotated, Any

from gpt_from_scratch.support.registry_folder import classes_in
from gpt_from_scratch.training.metrics import records
from gpt_from_scratch.training.metrics.record import Record

MAX_STEP = 2**53
"""Largest valid step; larger numbers are not exact as floats."""


@functools.cache
def kinds() -> dict[str, type[Record]]:
    """Every kind of record by its name, in the order of their files' names."""
    return {kind.kind: kind for kind in classes_in(records, Record).values()}


def parse(found: object) -> Record:
    """Parse a line of metrics.jsonl into a record.

    Raises:
        ValueError: it is not an object, its kind is unknown, or a field is missing or has a wrong type.
    """
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}, expected an object")
    kind = kinds().get(str(found.get("kind")))
    if kind is None:
        raise ValueError(f"its kind is {found.get('kind')!r}, expected one of {', '.join(kinds())}")
    read: dict[str, Any] = {}
    for field in fields(kind):
        if field.name not in found and field.default is not dataclasses.MISSING:
            continue
        allowed = _types(field.type)
        value = found.get(field.name)
        if float in allowed and type(value) is int:
            value = float(value)
        if type(value) not in allowed:
            names = " or ".join(one.__name__ for one in allowed if one is not types.NoneType)
            raise ValueError(f"{field.name} is {value!r}, expected {names}")
        read[field.name] = value
    if not 0 <= read["step"] <= MAX_STEP:
        raise ValueError(f"step is {read['step']}, expected 0 to {MAX_STEP}")
    return kind(**read)


def _types(hint: Any) -> tuple[Any, ...]:
    """The allowed types of a field's value."""
    if typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
