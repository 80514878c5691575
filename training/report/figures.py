"""The curves of a report, drawn with matplotlib as SVG that takes the page's own text colour, light or dark."""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from gpt_from_scratch.support.pages.html_page import Markup
from gpt_from_scratch.support.pages.svg import inline
from gpt_from_scratch.training.drawing import COLORS, FLOOR, TRAINING, VALIDATION, logarithmic, plain_text
from gpt_from_scratch.training.metrics.records import GPT2_HELLASWAG, Eval, HellaSwag, Record, Train
from gpt_from_scratch.training.report.run_data import Run, flatten

INK = "#123456"
"""Stands for the page's text colour while matplotlib draws."""
POINTS = 400
"""A curve with more points is drawn as the means of as many stretches."""
SIZE = (5.4, 3.0)
"""Inches. Small, so that the text stays readable where the drawing fills a telephone's width."""

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


@dataclass(frozen=True)
class Curve:
    """What a figure shows of each run: records of one kind, and the value of one."""

    kind: type[Record]
    value: Callable[[Record], float | None]
    marker: str | None = None
    alpha: float = 1.0
    label: str | None = None
    color: str | None = None
    """Where one run is drawn alone; several have a colour each."""


def series(records: Sequence[Record], value: Callable[[Record], float | None]) -> Float[np.ndarray, "2 n"]:
    """Steps and finite values, as means of at most POINTS stretches."""
    pairs = [
        (record.step, number) for record in records if (number := value(record)) is not None and math.isfinite(number)
    ]
    points = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    if len(points) > POINTS:
        points = np.stack([part.mean(axis=0) for part in np.array_split(points, POINTS)])
    return points.T


def figure(
    runs: Sequence[Run],
    name: str,
    label: str,
    curves: Sequence[Curve],
    *,
    log: bool = False,
    floor: float | None = None,
    floor_label: str = "floor",
) -> Markup | None:
    """One panel over the step, a colour a run; None if there is nothing to draw.

    Args:
        runs: Any number; they take `COLORS` in turn.
        name: Distinguishes the drawing's ids from those of other drawings.
        label: What the vertical axis shows, with its unit.
        curves: What is drawn of each run.
        log: A logarithmic axis, where all values are positive.
        floor: A value that no curve can pass, drawn as a dashed line.
        floor_label: What the dashed line is called.
    """
    drawn = [
        (index, curve, points)
        for index, run in enumerate(runs)
        for curve in curves
        if (points := series(run.of(curve.kind), curve.value)).size
    ]
    if not drawn:
        return None
    with matplotlib.rc_context(STYLE), plain_text():
        panel = Figure(figsize=SIZE, layout="constrained")
        panel.patch.set_visible(False)
        axes = panel.add_subplot(facecolor="none")
        for index, curve, points in drawn:
            alone = points.shape[1] == 1  # a line of one point would not be seen
            axes.plot(
                *points,
                color=curve.color if len(runs) == 1 and curve.color else COLORS[index % len(COLORS)],
                marker=curve.marker or ("o" if alone else None),
                markersize=3.5,
                linewidth=1.4,
                alpha=curve.alpha,
                label=curve.label if index == drawn[0][0] else None,
            )
        if floor is not None:
            axes.axhline(floor, color=FLOOR, linestyle="--", linewidth=1, label=floor_label)
        values = np.concatenate([points[1] for _, _, points in drawn])
        if log and values.min() > 0:
            low = min(values.min(), floor) if floor is not None and floor > 0 else values.min()
            logarithmic(axes, float(low), float(values.max()))
        elif not log:
            axes.set_ylim(bottom=min(0.0, values.min()))
        axes.set_xlabel("step")
        axes.set_ylabel(label)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(loc="best", fontsize=8)
        buffer = io.StringIO()
        panel.savefig(buffer, format="svg")
    return inline(buffer.getvalue(), f"{label} over the step", name=name, ink=INK)


def tokenizer_of(run: Run) -> str:
    """What tells the run's tokens from those of others: its tokenizer's fingerprint, or what older runs say of it."""
    if isinstance(found := run.facts.get("tokenizer"), str):
        return found
    settings = flatten(run.config)
    named = settings.get("data.tokenizer") not in ("bpe", "character")  # else it was learned from the data
    prefix = "data.tokenizer" if named else "data."
    found = {name: value for name, value in settings.items() if name.startswith(prefix) and name != "data.seed"}
    return repr(sorted(found.items()))


def all_figures(runs: Sequence[Run]) -> list[tuple[str, Markup]]:
    """Every panel that has something to show, with its title."""
    floors = [run.facts.get("floor_nats_per_token") for run in runs]
    known = isinstance(floors[0], float) and floors[0] > 0 and all(other == floors[0] for other in floors)
    floor = floors[0] if known else None
    ratios = any(evaluation.ratio is not None for run in runs for evaluation in run.of(Eval))
    alike = len({tokenizer_of(run) for run in runs}) == 1
    panels = [
        (
            "Bits a byte: the runs' tokens differ, so their losses a token cannot be compared",
            None
            if alike
            else figure(
                runs,
                "bits",
                "validation, bits a byte",
                [Curve(Eval, lambda r: r.bits_per_byte if isinstance(r, Eval) else None, marker="o")],
                log=True,
            ),
        ),
        (
            "Loss against the floor" if floor else "Loss",
            None
            if not alike
            else figure(
                runs,
                "loss",
                "nats a token",
                [
                    Curve(
                        Train,
                        lambda r: r.loss if isinstance(r, Train) else None,
                        alpha=0.45,
                        label="train",
                        color=TRAINING,
                    ),
                    Curve(
                        Eval,
                        lambda r: r.loss if isinstance(r, Eval) else None,
                        "o",
                        label="validation",
                        color=VALIDATION,
                    ),
                ],
                log=True,
                floor=floor,
            ),
        ),
        (
            "Validation nats ÷ floor nats",
            figure(
                runs,
                "ratio",
                "total nats ÷ floor nats",
                [Curve(Eval, lambda r: r.ratio if isinstance(r, Eval) else None, marker="o")],
                log=True,
                floor=1.0 if ratios else None,
                floor_label="the floor: no model is better on average",
            ),
        ),
        (
            "HellaSwag",
            figure(
                runs,
                "hellaswag",
                "part that is right (acc_norm)",
                [Curve(HellaSwag, lambda r: r.acc_norm if isinstance(r, HellaSwag) else None, marker="o")],
                floor=GPT2_HELLASWAG,
                floor_label="OpenAI's GPT-2 124M",
            ),
        ),
        ("Learning rate", _of_train(runs, "lr", learning_rate(runs))),
        ("Gradient norm", _of_train(runs, "grad_norm", "norm before clipping", log=True)),
        ("Throughput", _of_train(runs, "tokens_per_s", "tokens/s")),
        ("Model FLOPs utilisation", _of_train(runs, "mfu", "MFU")),
    ]
    return [(title, panel) for title, panel in panels if panel is not None]


def learning_rate(runs: Sequence[Run]) -> str:
    """The label of the learning rate's axis: whose it is, where all runs say the same."""
    names = {record.lr_of for run in runs for record in run.of(Train)}
    return f"learning rate ({name})" if len(names) == 1 and (name := names.pop()) else "learning rate"


def _of_train(runs: Sequence[Run], field: str, label: str, *, log: bool = False) -> Markup | None:
    def value(record: Record) -> float | None:
        number: float | None = getattr(record, field)
        return number

    return figure(runs, field, label, [Curve(Train, value)], log=log)
