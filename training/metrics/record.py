"""The record: one line of metrics.jsonl, written and read by the same dataclass."""

import dataclasses
import functools
import types
import typing
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Literal

from gpt_from_scratch.support.registry_folder import classes_in
from gpt_from_scratch.training.metrics.metric import Metric

MAX_STEP = 2**53
"""Beyond it a step is not a step, and no longer exact as a float."""


@dataclass(frozen=True)
class Record:
    """What was recorded at a step. A subclass is a file of `records/`; its fields are the line's.

    A field is `Annotated` with a `Metric` where it is a figure to show. A field with a default may be missing in a line, as
    in those of runs that are older than the field.
    """

    kind: ClassVar[str]
    """What the line calls itself."""
    counts: ClassVar[Literal["last", "together", "always"]] = "last"
    """Of several records of one step: the last counts, or those that were made together, or every one, also of steps that
    were undone."""

    step: int
    seconds: float = dataclasses.field(default=0.0, kw_only=True)
    """Since the run began; set where it is written."""


@functools.cache
def kinds() -> dict[str, type[Record]]:
    """Every kind of record by its name, in the order of their files' names."""
    from gpt_from_scratch.training.metrics import records

    return {kind.kind: kind for kind in classes_in(records, Record).values()}


def metrics(kind: type[Record]) -> dict[str, Metric]:
    """The figures of a kind: the field's name, and its description."""
    if kind not in _METRICS:
        noted = {
            name: getattr(hint, "__metadata__", ())
            for name, hint in typing.get_type_hints(kind, include_extras=True).items()
        }
        _METRICS[kind] = {name: one for name, notes in noted.items() for one in notes if isinstance(one, Metric)}
    return _METRICS[kind]


_METRICS: dict[type[Record], dict[str, Metric]] = {}


def values(record: Record) -> dict[str, float]:
    """The figures of a record that are known."""
    found = ((name, getattr(record, name)) for name in metrics(type(record)))
    return {name: value for name, value in found if value is not None}


def parse(found: object) -> Record:
    """A line of metrics.jsonl as a record.

    Raises:
        ValueError: It is not an object, of no known kind, or a field is missing or of a wrong type.
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
    """The types that a field's value may have."""
    if typing.get_origin(hint) is Annotated:
        hint = typing.get_args(hint)[0]
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def as_line(record: Record) -> dict[str, Any]:
    """A record as a line holds it: its kind and step first, its time last."""
    own = {field.name: getattr(record, field.name) for field in fields(record) if field.name not in ("step", "seconds")}
    return {"kind": record.kind, "step": record.step, **own, "seconds": record.seconds}
