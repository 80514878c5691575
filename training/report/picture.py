"""Picture of a run's loss and the floor as one PNG, for a README or a talk.

python -m gpt_from_scratch.training.report.picture RUN --out images      # images/training.png
"""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("report_picture", "gpt_from_scratch.training.report.picture:main")


import argparse
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from gpt_from_scratch.support.command_line.arguments import ArgumentParser, a_path
from gpt_from_scratch.support.pages.theme import FLOOR, TRAINING, VALIDATION
from gpt_from_scratch.support.storage.files import ensure_folder, write_bytes
from gpt_from_scratch.training.drawing import bare, logarithmic, outside, plain_text, png
from gpt_from_scratch.training.metrics.records.eval import Eval
from gpt_from_scratch.training.metrics.records.train import Train
from gpt_from_scratch.training.report.figures import series
from gpt_from_scratch.training.report.run_data import Run, read_run
from gpt_from_scratch.training.results_folder import check_place

PICTURE_FILE = "training.png"


def draw(run: Run) -> bytes:
    """Draw training and validation loss over the steps on a logarithmic axis, and the floor if it is known, as a PNG.

    Raises:
        ValueError: the run has recorded no loss.
    """
    with plain_text():
        return png(figure(run), dpi=130)


def figure(run: Run) -> Figure:
    """The figure of `draw`, to be used within `plain_text`."""
    train = series(run.of(Train), "loss")
    evals = series(run.of(Eval), "loss")
    values = [*train[1].tolist(), *evals[1].tolist()]
    if not values:
        raise ValueError(f"{run.folder} has recorded no loss yet: nothing can be drawn")
    made = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = made.add_subplot()
    axes.plot(*train, color=TRAINING, alpha=0.6, linewidth=1.2, label="training")
    axes.plot(*evals, color=VALIDATION, marker="o", markersize=4, label="validation")
    floor = run.facts.get("floor_nats_per_token")
    if isinstance(floor, float):
        axes.axhline(floor, color=FLOOR, linestyle="--", linewidth=1, label=f"the text's entropy, {floor:.4f}")
        values.append(floor)
    if min(values) > 0:
        logarithmic(axes, min(values), max(values))
    axes.set_xlabel("step")
    axes.set_ylabel("nats per token")
    axes.set_title(f"{outside(run.name)} on {outside(run.facts.get('device', 'an unknown device'))}", fontsize=10)
    bare(axes)
    axes.legend(frameon=False)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and draw."""
    parser = ArgumentParser(
        prog="report_picture", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=a_path, help="a run's folder")
    parser.add_argument("--out", type=a_path, default=Path(), help="folder for training.png (default: the current one)")
    options = parser.parse_args(arguments)
    check_place(options.out)
    ensure_folder(options.out)
    write_bytes(options.out / PICTURE_FILE, draw(read_run(options.run)))
    print(f"drew {options.out / PICTURE_FILE}")
