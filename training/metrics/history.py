"""The one history of a run: of the lines of metrics.jsonl those that led to where the run is now.

A run that goes on from a checkpoint does the steps after it again, or never: what was recorded of them before is undone, and
counts for no reader. Whoever reads a run's figures (the report, its picture, TensorBoard and the others) reads them here.
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
    """The message of the event with which a run goes on from the checkpoint of `step`."""
    return f"resumed at step {step}"


@dataclass(frozen=True)
class History:
    """Records in the order in which they were made, and how often a part of them had to be undone."""

    records: tuple[Record, ...]
    restarts: int = 0
    """How often the run went back behind figures that it had recorded."""
    just_went_back: bool = False
    """Whether it did so when it was last started."""


def history(records: Iterable[Record]) -> History:
    """What remains of all records of a run, the oldest first.

    Events all remain: they say what happened, also to a part that was undone. Of one step's validations only the last counts,
    and of its samples those that were drawn together: a run saves before it evaluates, so it may do both again.
    """
    kept: list[tuple[int, Record]] = []  # with the number of the stretch, from one start to the next
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
    """The last step that still counts once `record` was made, where it tells that the run went back; else None."""
    if isinstance(record, Event):
        if found := _RESUMED.match(record.message):
            return int(found[1])
        return -1 if record.message == STARTED_AGAIN else None
    return record.step - 1 if isinstance(record, Train) and record.step <= trained else None


def _counts(record: Record, stretch: int, place: int, newest: tuple[int, int]) -> bool:
    if record.counts == "always":
        return True
    return (stretch, place) == newest if record.counts == "last" else stretch == newest[0]
