"""Record of an event."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from gpt_from_scratch.training.metrics.record import Record


@dataclass(frozen=True)
class Event(Record):
    """Something that happened: a resume, a skipped step, an interruption."""

    kind: ClassVar[str] = "event"
    counts: ClassVar[Literal["last", "together", "always"]] = "always"

    message: str
