"""The charts of a report, drawn by matplotlib as SVG in the page's text colour, light or dark."""

import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from gpt_from_scratch.support.pages.html_page import Markup
from gpt_from_scratch.support.pages.svg import inline
from gpt_from_scratch.support.pages.theme import COLORS, FLOOR, TRAINING, VALIDATION
from gpt_from_scratch.support.storage.json_text import flat
from gpt_from_scratch.training.drawing import logarithmic, plain_text
from gpt_from_scratch.training.metrics.kinds import kinds
from gpt_from_scratch.training.metrics.metric import Chart, Metric
from gpt_from_scratch.training.metrics.record import Record, metrics
from gpt_from_scratch.training.metrics.records.train import Train
from gpt_from_scratch.training.report.run_data import Run

INK = "#123456"
"""Placeholder for the page's text colour while matplotlib draws."""
POINTS = 400
"""Maximum number of points of a curve; a longer one is averaged."""
SIZE = (5.4, 3.0)
"""Size in inches; small, so that the text stays readable on a phone."""

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    **dict.fromkeys(
        [
            "text.color",
            "axes.edgecolor",
            "axes.labelcolor",
            "xtick.color",
            "ytick.color",
            "grid.color",
            "legend.labelcolor",
        ],
        INK,
    ),
}


SPARSE = 60
"""Up to this number of points a curve has a dot at each point."""


class Look(NamedTuple):
    """A curve's colour and opacity. The colour is for a single run; several runs have one colour each."""

    color: str | None = None
    alpha: float = 1.0


LOOKS = {"training": Look(TRAINING, 0.7), "validation": Look(VALIDATION)}
"""Looks by the name of a curve."""


class Curve(NamedTuple):
    """A curve of a panel: one metric of the records of one kind."""

    kind: type[Record]
    field: str
    metric: Metric

    @property
    def chart(self) -> Chart:
        """The metric's chart."""
        return self.metric.chart or Chart()


def series(records: Sequence[Record], field: str) -> Float[np.ndarray, "2 n"]:
    """Steps and finite values, averaged to at most POINTS points."""
    pairs = [
        (record.step, number)
        for record in records
        if (number := getattr(record, field)) is not None and math.isfinite(number)
    ]
    points = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    if len(points) > POINTS:
        points = np.stack([part.mean(axis=0) for part in np.array_split(points, POINTS)])
    return points.T


def figure(runs: Sequence[Run], name: str, curves: Sequence[Curve], mark: tuple[float, str] | None) -> Markup | None:
    """Draw one panel over the steps, with one colour per run; None if there is no data.

    Args:
        runs: any number of runs; they use `COLORS` in turn.
        name: prefix of the drawing's ids, which must be unique on the page.
        curves: the curves of each run; the first one determines the axes.
        mark: a value drawn as a dashed line, with its label.
    """
    drawn = [
        (index, curve, points)
        for index, run in enumerate(runs)
        for curve in curves
        if (points := series(run.of(curve.kind), curve.field)).size
    ]
    if not drawn:
        return None
    label = axis_label(runs, curves[0])
    with matplotlib.rc_context(STYLE), plain_text():
        panel = Figure(figsize=SIZE, layout="constrained")
        panel.patch.set_visible(False)
        axes = panel.add_subplot(facecolor="none")
        for index, curve, points in drawn:
            look = LOOKS.get(curve.chart.curve or "", Look())
            axes.plot(
                *points,
                color=look.color if len(runs) == 1 and look.color else COLORS[index % len(COLORS)],
                marker="o" if points.shape[1] <= SPARSE else None,
                markersize=3.5,
                linewidth=1.4,
                alpha=look.alpha,
                label=curve.chart.curve if index == drawn[0][0] else None,
            )
        if mark is not None:
            axes.axhline(mark[0], color=FLOOR, linestyle="--", linewidth=1, label=mark[1])
        values = np.concatenate([points[1] for _, _, points in drawn])
        if curves[0].chart.log and values.min() > 0:
            low = min(values.min(), mark[0]) if mark is not None and mark[0] > 0 else values.min()
            logarithmic(axes, float(low), float(values.max()))
        elif not curves[0].chart.log:
            axes.set_ylim(bottom=min(0.0, values.min()))
        last = max(record.step for run in runs for record in run.records)
        axes.set_xlim(-0.02 * max(last, 1), 1.02 * max(last, 1))  # the same in every panel
        axes.set_xlabel("step")
        axes.set_ylabel(label)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(loc="best", fontsize=8)
        buffer = io.StringIO()
        panel.savefig(buffer, format="svg")
    return inline(buffer.getvalue(), f"{label} over the step", name=name, ink=INK)


def tokenizer_of(run: Run) -> str:
    """Identity of the run's tokenizer: its fingerprint, or the settings that older runs recorded."""
    if isinstance(found := run.facts.get("tokenizer"), str):
        return found
    settings = flat(run.config)
    named = settings.get("data.tokenizer") not in ("bpe", "character")  # otherwise it was learned from the data
    prefix = "data.tokenizer" if named else "data."
    found = {name: value for name, value in settings.items() if name.startswith(prefix) and name != "data.seed"}
    return repr(sorted(found.items()))


def all_figures(runs: Sequence[Run]) -> list[tuple[str, Markup]]:
    """Every panel that has data, with its title."""
    same_tokens = len({tokenizer_of(run) for run in runs}) == 1
    found = []
    for name, curves in panels().items():
        chart, mark = curves[0].chart, mark_of(runs, curves[0].metric)
        if chart.tokens is not None and (chart.tokens == "alike") != same_tokens:
            continue
        if (drawn := figure(runs, name, curves, mark)) is not None:
            title = chart.title or curves[0].metric.label
            fact = curves[0].metric.mark is not None and isinstance(curves[0].metric.mark.value, str)
            found.append((f"{title} against the {mark[1]}" if fact and mark else title, drawn))
    return found


def panels() -> dict[str, list[Curve]]:
    """The curves of every panel, from the metrics' descriptions; dense curves are drawn below sparse ones."""
    found: dict[str, list[Curve]] = {}
    for kind in kinds().values():
        for field, metric in metrics(kind).items():
            if metric.chart is not None:
                found.setdefault(metric.chart.panel or f"{kind.kind}-{field}", []).append(Curve(kind, field, metric))
    return {name: sorted(curves, key=lambda curve: curve.kind is not Train) for name, curves in found.items()}


def mark_of(runs: Sequence[Run], metric: Metric) -> tuple[float, str] | None:
    """A metric's mark and its label, if all runs have the same one."""
    if metric.mark is None:
        return None
    known = {metric.mark.of(run.facts) for run in runs}
    value = known.pop() if len(known) == 1 else None
    return None if value is None or value <= 0 else (value, metric.mark.label)


def axis_label(runs: Sequence[Run], curve: Curve) -> str:
    """Label of a panel's axis, with the owner of the metric if it is the same in all runs."""
    label = curve.chart.label or curve.metric.heading
    if curve.metric.whose is None:
        return label
    names = {getattr(record, curve.metric.whose) for run in runs for record in run.of(curve.kind)}
    return f"{label} ({name})" if len(names) == 1 and (name := names.pop()) else label
