"""Pictures: text from outside is no TeX, labels do not hide each other, a thing has one colour everywhere."""

import itertools
import math
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gpt_from_scratch.benchmarks.learning import scaling_picture
from gpt_from_scratch.models.attention_habits import habits
from gpt_from_scratch.support.pages.theme import FLOOR, TRAINING, VALIDATION
from gpt_from_scratch.training import draw_attention
from gpt_from_scratch.training.bigram import figures as bigram_figures
from gpt_from_scratch.training.drawing import logarithmic, outside, plain_text
from gpt_from_scratch.training.features.curve import Point, draw_curve
from gpt_from_scratch.training.metrics.kinds import parse
from gpt_from_scratch.training.report import picture as report_picture
from gpt_from_scratch.training.report.figures import all_figures
from gpt_from_scratch.training.report.run_data import Run

ODD = [
    "$",
    "$$",
    r"$\frac$",
    "a_b^c{",
    "\\",
    r"\alpha$x$",
    "line\nbreak",
    "\t",
    "🙂",
    "שלום",
    "<b>&",
    "\x1b[31m",
    "\udc80",
    "%",
    "",
]
NAMES = st.lists(st.sampled_from(ODD) | st.text(max_size=5), max_size=6).map("".join)
PNG = b"\x89PNG"


def a_run(name: str, losses: list[float], floor: float | None = 0.4) -> Run:
    fields = {"lr": 0.1, "grad_norm": 1.0, "tokens_per_s": 10.0, "mfu": None, "seconds": 1.0}
    scores = {"nats": 1.0, "floor_nats": 1.0, "ratio": 1.1, "bits_per_byte": 0.3, "seconds": 1.0}
    train = [parse({"kind": "train", "step": n, "loss": loss, **fields}) for n, loss in enumerate(losses, start=1)]
    evals = [parse({"kind": "eval", "step": len(losses), "loss": losses[-1], **scores})]
    return Run(
        Path(name or "x"), {}, {"name": name, "device": name, "floor_nats_per_token": floor}, (*train, *evals), ()
    )


@settings(deadline=None, max_examples=4)
@given(NAMES)
def test_no_text_from_outside_ends_a_drawing(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert report_picture.draw(a_run(name, [2.0, 1.0])).startswith(PNG)
        assert draw_curve([Point("topk", 2, 2.0, 0.5)], name).startswith(PNG)
        maps = torch.full((1, 1, 2, 2), 0.5)
        assert draw_attention.draw(maps, [outside(name), outside(name)], habits(maps, [1, 2])).startswith(PNG)


def test_a_benchmarks_machine_is_no_tex_either() -> None:
    part = {"p20": 1.0, "median": 1.0, "p80": 1.0}
    row = {"parameters": 10, "length": 8, "rows": 1, "processes": 1, "threads": 1}
    row |= {"tokens/s": part, "part of products": part, "ideal tokens/s": part}
    report = {"length": [row], "parameters": [row], "processes": [row]}
    assert scaling_picture.draw({**report, "processor": "$1_", "machine": "$\\x", "torch": "2"}).startswith(PNG)


@pytest.mark.parametrize("text", ODD)
def test_what_is_shown_is_one_line_without_hidden_characters(text: str) -> None:
    assert "\n" not in outside(text) and "\x1b" not in outside(text)
    outside(text).encode()  # no lone surrogate
    assert len(outside(text * 500)) <= 100


def labels(figure: Figure) -> list[tuple[str, float, float]]:
    """The labels of the vertical axis that are seen, each with its lower and upper end."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    axes = figure.axes[0]
    low, high = axes.get_ylim()
    ticks = [*axes.yaxis.get_major_ticks(), *axes.yaxis.get_minor_ticks()]
    seen = [tick.label1 for tick in ticks if low <= tick.get_loc() <= high and tick.label1.get_text()]
    boxes = [(label.get_text(), label.get_window_extent()) for label in seen]
    return sorted(((text, box.y0, box.y1) for text, box in boxes), key=lambda found: found[1])


@settings(deadline=None, max_examples=10)
@given(st.floats(-6, 4), st.floats(0.001, 8))
def test_the_labels_of_a_loss_can_be_read(start: float, decades: float) -> None:
    """Whatever it spans: at least two, and none over another."""
    with plain_text():
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        low, high = 10**start, 10 ** (start + decades)
        axes.plot([0, 1], [low, high])
        logarithmic(axes, low, high)
        found = labels(figure)
    assert len(found) >= 2
    assert len({text for text, _, _ in found}) == len(found)
    for (lower, _, top), (upper, bottom, _) in itertools.pairwise(found):
        assert bottom >= top, f"{upper} is printed over {lower}"


def colors(figure: Figure) -> dict[str, Any]:
    handles, names = figure.axes[0].get_legend_handles_labels()
    return dict(
        zip(names, (getattr(one, "get_color", getattr(one, "get_facecolor", None))() for one in handles), strict=True)
    )


def test_one_colour_for_each_thing() -> None:
    stage = {"stage": "head", "adds": "x", "best": {"step": 2, "train": 1.0, "validation": 2.0}}
    stage["evaluations"] = [{"step": step, "train": 1.0, "validation": 2.0} for step in (0, 1, 2)]
    run = a_run("x", [2.0, 1.0])
    with plain_text():
        pictures = [report_picture.figure(run), bigram_figures._curves(stage)]
    for picture in pictures:
        found = colors(picture)
        assert (found["training"], found["validation"]) == (TRAINING, VALIDATION)
    assert colors(pictures[0])["the text's entropy, 0.4000"] == FLOOR
    drawn = str(dict(all_figures([run]))["Loss against the floor"])
    assert all(color in drawn for color in (TRAINING, VALIDATION, FLOOR))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_losses_that_are_not_finite_end_no_drawing(bad: float) -> None:
    stages = [
        {
            "stage": "head",
            "adds": "x",
            "best": {"step": 0, "train": 4.0, "validation": loss},
            "evaluations": [{"step": step, "train": bad, "validation": bad} for step in (0, 1)],
        }
        for loss in (bad, 4.0)
    ]
    for stage in stages:
        assert bigram_figures.draw_curves(stage).startswith(PNG)
    assert bigram_figures.draw_ladder(stages).startswith(PNG)
    assert bigram_figures.draw_ladder(stages[:1]).startswith(PNG)


def test_runs_of_different_tokenizers_are_compared_by_bits_a_byte() -> None:
    def run(tokenizer: str) -> Run:
        made = a_run("x", [2.0, 1.0])
        return Run(made.folder, made.config, {**made.facts, "tokenizer": tokenizer}, made.records, ())

    same, other = dict(all_figures([run("a"), run("a")])), dict(all_figures([run("a"), run("b")]))
    assert "nats per token" in str(same) and "bits per byte" not in str(same)
    assert "nats per token" not in str(other) and "bits per byte" in str(other)
    records = a_run("x", [1.0]).records
    older = [
        Run(Path(name), {"data": {"tokenizer": name, "seed": 1}}, {}, records, ()) for name in ("gpt2", "character")
    ]
    assert "nats per token" not in str(all_figures(older)) and "nats per token" in str(all_figures(older[:1] * 2))
