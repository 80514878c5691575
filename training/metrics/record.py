"""Record: one line of metrics.jsonl, written and read by the same dataclass."""

import dataclasses
import typing
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from gpt_from_scratch.training.metrics.metric import Metric


@dataclass(frozen=True)
class Record:
    """Base class of the records of a step. Each subclass is in a file of `records/`; its fields are those of the line.

    A field that is shown as a metric is `Annotated` with a `Metric`. A field with a default may be missing in lines of
    older runs.
    """

    kind: ClassVar[str]
    """The value of the line's `kind`."""
    counts: ClassVar[Literal["last", "together", "always"]] = "last"
    """Which of several records of one step count: the last one, the last set, or all (also those of dropped steps)."""

    step: int
    seconds: float = dataclasses.field(default=0.0, kw_only=True)
    """Seconds since the run began; set when it is written."""


def metrics(kind: type[Record]) -> dict[str, Metric]:
    """The metrics of this kind, by field name."""
    if kind not in _METRICS:
        noted = {
            name: getattr(hint, "__metadata__", ())
            for name, hint in typing.get_type_hints(kind, include_extras=True).items()
        }
        _METRICS[kind] = {name: one for name, notes in noted.items() for one in notes if isinstance(one, Metric)}
    return _METRICS[kind]


_METRICS: dict[type[Record], dict[str, Metric]] = {}


def values(record: Record) -> dict[str, float]:
    """The metrics of this record that have a value."""
    found = ((name, getattr(record, name)) for name in metrics(type(record)))
    return {name: value for name, value in found if value is not None}


def as_line(record: Record) -> dict[str, Any]:
    """The record as a dict for its line: kind and step first, the time last."""
    own = {field.name: getattr(record, field.name) for field in fields(record) if field.name not in ("step", "seconds")}
    return {"kind": record.kind, "step": record.step, **own, "seconds": record.seconds}
