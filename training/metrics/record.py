"""The record: one line of metrics.jsonl, written and read by the same dataclass."""

import dataclasses
import typing
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from gpt_from_scratch.training.metrics.metric import Metric


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


def as_line(record: Record) -> dict[str, Any]:
    """A record as a line holds it: its kind and step first, its time last."""
    own = {field.name: getattr(record, field.name) for field in fields(record) if field.name not in ("step", "seconds")}
    return {"kind": record.kind, "step": record.step, **own, "seconds": record.seconds}
