"""The pictures of the bigram course: the loss of each stage, and the loss curves of a run."""

import math
from typing import Any

from matplotlib.figure import Figure

from gpt_from_scratch.support.pages.theme import FLOOR, TRAINING, VALIDATION
from gpt_from_scratch.training.drawing import limits, plain_text, png


def draw_ladder(stages: list[dict[str, Any]]) -> bytes:
    """Draw each stage's best loss, its addition and its gain, as a PNG. `stages` is part of metrics.json."""
    with plain_text():
        return png(_ladder(stages))


def draw_curves(stage: dict[str, Any]) -> bytes:
    """Draw training and validation loss over the steps, with the best validation loss marked, as a PNG."""
    with plain_text():
        return png(_curves(stage))


def _ladder(stages: list[dict[str, Any]]) -> Figure:
    losses = [stage["best"]["validation"] for stage in stages]
    training = [stage["best"]["train"] for stage in stages]
    figure = Figure(figsize=(11, 0.5 * len(stages) + 1.4), layout="constrained")
    axis = figure.add_subplot()
    places = range(len(stages))
    axis.hlines(places, training, losses, color=FLOOR, linewidth=2, zorder=1)
    axis.scatter(training, places, color=TRAINING, s=50, label="training")
    axis.scatter(losses, places, color=VALIDATION, s=70, label="validation")
    for place, (stage, loss) in enumerate(zip(stages, losses, strict=True)):
        if not math.isfinite(loss + training[place]):
            continue
        gain = "" if place == 0 else f"  ({loss - losses[place - 1]:+.3f})"
        axis.text(max(loss, training[place]), place, f"   {loss:.3f}{gain}  {stage['adds']}", va="center", fontsize=9)
    axis.set_yticks(
        places, [stage["stage"] if place == 0 else f"+ {stage['stage']}" for place, stage in enumerate(stages)]
    )
    axis.invert_yaxis()
    low, high = limits(losses + training) or (0.0, 1.0)
    axis.set_xlim(low - 0.08 * (high - low + 0.1), high + 0.6 * (high - low + 0.1))  # room for the words
    axis.set_xlabel("loss, nats per character")
    axis.legend(frameon=False, loc="lower right")
    axis.set_title("From bigram to transformer: each stage keeps all before it and adds one thing")
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _curves(stage: dict[str, Any]) -> Figure:
    evaluations, best = stage["evaluations"][1:] or stage["evaluations"], stage["best"]
    steps = [evaluation["step"] for evaluation in evaluations]
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axis = figure.add_subplot()
    axis.plot(steps, [evaluation["train"] for evaluation in evaluations], color=TRAINING, label="training")
    axis.plot(steps, [evaluation["validation"] for evaluation in evaluations], color=VALIDATION, label="validation")
    axis.axhline(best["validation"], color=FLOOR, linewidth=0.8, linestyle="--")
    axis.plot(best["step"], best["validation"], "o", color=VALIDATION)
    axis.set_title(f"{stage['stage']}: best validation loss {best['validation']:.4f} at step {best['step']:,}")
    axis.set_xlabel("step")
    axis.set_ylabel("loss, nats per character")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    return figure
