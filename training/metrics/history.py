"""The history of a run: the records of metrics.jsonl that led to the run's current state.

A run that resumes from a checkpoint repeats the steps after it, so earlier records of these steps are dropped. All readers
of a run's metrics (the report, its picture, the loggers) use this history.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gpt_from_scratch.training.metrics.record import Record
from gpt_from_scratch.training.metrics.records.event import Event
from gpt_from_scratch.training.metrics.records.train import Train

STARTED_AGAIN = "started again: there was no checkpoint yet"
_RESUMED = re.compile(r"resumed at step (\d+)")


def resumed_at(step: int) -> str:
    """Message of the event that records a resume from the checkpoint of `step`."""
    return f"resumed at step {step}"


@dataclass(frozen=True)
class History:
    """Records in order, and how often some of them were dropped."""

    records: tuple[Record, ...]
    restarts: int = 0
    """How often the run went back to a step before some of its records."""
    just_went_back: bool = False
    """Whether it did so at its last start."""


def history(records: Iterable[Record]) -> History:
    """Build the history from all records of a run, the oldest first.

    All events are kept, also those of dropped steps. Of several validations of one step only the last is kept, and of its
    samples the last set: a run saves before it evaluates, so it may repeat both.
    """
    kept: list[tuple[int, Record]] = []  # with the number of the attempt, from one start to the next
    stretch, restarts, just_went_back, trained = 0, 0, False, -1
    for record in records:
        if (last := _last_that_counts(record, trained)) is not None:
            left = [(at, one) for at, one in kept if one.counts == "always" or one.step <= last]
            just_went_back = len(left) < len(kept)
            restarts += just_went_back
            kept, stretch, trained = left, stretch + 1, min(trained, last)
        if isinstance(record, Train):
            trained = record.step
        kept.append((stretch, record))
    newest: dict[tuple[type[Record], int], tuple[int, int]] = {}
    for place, (at, record) in enumerate(kept):
        newest[type(record), record.step] = at, place
    counted = tuple(
        record
        for place, (at, record) in enumerate(kept)
        if _counts(record, at, place, newest[type(record), record.step])
    )
    return History(counted, restarts, just_went_back)


def _last_that_counts(record: Record, trained: int) -> int | None:
    """The last step that remains valid after `record`, if that says that the run went back; else None."""
    if isinstance(record, Event):
        if found := _RESUMED.match(record.message):
            return int(found[1])
        return -1 if record.message == STARTED_AGAIN else None
    return record.step - 1 if isinstance(record, Train) and record.step <= trained else None


def _counts(record: Record, stretch: int, place: int, newest: tuple[int, int]) -> bool:
    if record.counts == "always":
        return True
    return (stretch, place) == newest if record.counts == "last" else stretch == newest[0]
