"""Accuracy by depth and length, as a heatmap. Every table is one of `create_and_run_eval`."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from jaxtyping import Float, Int

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DEPTH, LENGTH = "sample.splits.max_problem_depth", "sample.splits.problem_length"


def log_bins(lengths: Int[np.ndarray, " n"], num_bins: int = 15) -> Int[np.ndarray, " edges"]:
    """Edges of at most `num_bins` bins, spaced logarithmically over `lengths`; bin i is edges[i] <= length < edges[i+1].

    Integer edges, each once: few or equal lengths give fewer bins, and at least one.
    """
    if num_bins < 1:
        raise ValueError(f"num_bins must be at least 1, not {num_bins}")
    low, high = max(int(lengths.min()), 1), int(lengths.max()) + 1
    return np.unique(np.rint(np.geomspace(low, max(high, low + 1), num_bins + 1)).astype(np.int64))


def accuracy_grid(
    df: "pd.DataFrame", num_bins: int = 15
) -> tuple[Float[np.ndarray, "depths bins"], Int[np.ndarray, "depths bins"], list[int], list[str]]:
    """Mean score and number of scored problems for each depth and bin of lengths; NaN where there is none.

    Returns:
        (means, counts, depths, labels of the bins). A row without a score (an error) is left out.

    Raises:
        ValueError: no row has a score.
    """
    scored = df[df["score"].notna()]
    if scored.empty:
        raise ValueError("no problem has a score: nothing to draw (see the column 'error')")
    depths, lengths = scored[DEPTH].astype(int).to_numpy(), scored[LENGTH].astype(int).to_numpy()
    scores = scored["score"].astype(float).to_numpy()
    edges = log_bins(lengths, num_bins)
    rows = sorted(set(depths.tolist()))
    flat = np.searchsorted(rows, depths) * (len(edges) - 1) + np.searchsorted(edges, lengths, side="right") - 1
    shape = len(rows), len(edges) - 1
    counts = np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)
    sums = np.bincount(flat, weights=scores, minlength=shape[0] * shape[1]).reshape(shape)
    means = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
    labels = [str(a) if a == b - 1 else f"{a}–{b - 1}" for a, b in itertools.pairwise(edges.tolist())]
    return means, counts, rows, labels


def plot_heatmap(
    df: "pd.DataFrame",
    *,
    ax: "Axes | None" = None,
    num_bins: int = 15,
    annotate_counts: bool = False,
    path: Path | str | None = None,
    show: bool | None = None,
) -> "Figure":
    """Draw average accuracy: a row a depth, a column a bin of problem lengths (logarithmic).

    Args:
        ax: where to draw; None makes a figure
        annotate_counts: write the number of problems under each accuracy
        path: also write the figure there (.png, .svg, .pdf)
        show: open a window; None does so where there is a display and `path` and `ax` are not given
    """
    means, counts, depths, labels = accuracy_grid(df, num_bins)
    import matplotlib.pyplot as plt

    if ax is None:
        size = 3.5 + 0.75 * len(labels), 2.2 + 0.5 * len(depths) * (1.3 if annotate_counts else 1.0)
        figure, axes = plt.subplots(figsize=size, layout="constrained")
    else:
        figure, axes = ax.figure, ax
    _draw(figure, axes, means, counts if annotate_counts else None, depths, labels)
    if path is not None:
        figure.savefig(path, dpi=150)
    if show is None:
        interactive = plt.get_backend().lower() not in ("agg", "svg", "pdf", "ps", "cairo", "template")
        show = interactive and path is None and ax is None
    if show:
        plt.show()
    elif ax is None:
        plt.close(figure)  # pyplot would keep it, and a notebook draw it twice
    return cast("Figure", figure)


def _draw(
    figure: Any,
    axes: Any,
    means: Float[np.ndarray, "depths bins"],
    counts: Int[np.ndarray, "depths bins"] | None,
    depths: list[int],
    labels: list[str],
) -> None:
    image = axes.imshow(np.ma.masked_invalid(means), cmap="YlGnBu", vmin=0.0, vmax=1.0, aspect="auto")
    figure.colorbar(image, ax=axes, label="average accuracy")
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(depths)), [str(depth) for depth in depths])
    axes.set_xlabel("problem length in characters (logarithmic bins)")
    axes.set_ylabel("maximum depth")
    axes.set_title("Average accuracy by depth and length")
    for (row, column), mean in np.ndenumerate(means):
        if np.isnan(mean):
            continue
        text = f"{mean:.2f}" if counts is None else f"{mean:.2f}\nn={counts[row, column]}"
        colour = "white" if mean > 0.6 else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
