"""The heatmap of the arithmetic eval, by its documented name; `arithmetic/heatmap` has the code."""

from gpt_from_scratch.evals.arithmetic.heatmap import DEPTH, LENGTH, accuracy_grid, log_bins, plot_heatmap

__all__ = ["DEPTH", "LENGTH", "accuracy_grid", "log_bins", "plot_heatmap"]
