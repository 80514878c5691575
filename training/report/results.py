"""Results of runs: the last value of each result metric, and the best run."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from gpt_from_scratch.training.metrics.kinds import kinds
from gpt_from_scratch.training.metrics.metric import Metric
from gpt_from_scratch.training.metrics.record import Record, metrics
from gpt_from_scratch.training.report.run_data import Run


class Result(NamedTuple):
    """A metric's value for every run."""

    heading: str
    texts: list[str | None]
    """The formatted last value of each run; None if it has none."""
    best: set[int]
    """Indices of the runs with the best value; empty if all are equal."""


def results(runs: Sequence[Run]) -> list[Result]:
    """Every result metric that some run has, in the order of kinds and fields."""
    found = []
    for kind in kinds().values():
        for field, metric in metrics(kind).items():
            if metric.result:
                values = [last_value(run, kind, field) for run in runs]
                if any(value is not None for value in values):
                    texts = [None if value is None else metric.text(value) for value in values]
                    found.append(Result(metric.heading, texts, best(values, metric)))
    return found


def last_value(run: Run, kind: type[Record], field: str) -> float | None:
    """The value in the newest record of a kind."""
    records = run.of(kind)
    return getattr(records[-1], field) if records else None


def judged(run: Run) -> Record | None:
    """The newest record with result metrics."""
    found = [record for record in run.records if any(one.result for one in metrics(type(record)).values())]
    return max(found, key=lambda record: record.step, default=None)


def best(values: Sequence[float | None], metric: Metric) -> set[int]:
    """Indices of the best values; empty if all known values are equal."""
    known = {place: value for place, value in enumerate(values) if value is not None and math.isfinite(value)}
    if metric.better is None or len(set(known.values())) < 2:
        return set()
    wanted = min(known.values()) if metric.better == "lower" else max(known.values())
    return {place for place, value in known.items() if value == wanted}
