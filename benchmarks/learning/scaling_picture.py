"""The picture of benchmarks/learning/scaling.py: tokens/s beside the ideal line, and what part of it is reached."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gpt_from_scratch.support.pages.theme import COLORS
from gpt_from_scratch.training.drawing import outside, plain_text, png


def draw(report: dict[str, Any]) -> bytes:
    """A PNG from what scaling.json holds."""
    with plain_text():
        return png(_figure(report), dpi=130)


def _figure(report: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(10.5, 5.4), layout="constrained")
    rates, parts = figure.subplots(2, 3, height_ratios=(3, 2))
    lengths, sizes, shared = report["length"], report["parameters"], report["processes"]
    _curve(rates[0], parts[0], lengths, [row["length"] for row in lengths], "tokens in the row")
    _curve(rates[1], parts[1], sizes, [row["parameters"] for row in sizes], "parameters")
    _bars(rates[2], parts[2], shared)
    rates[0].set_title(f"length, {lengths[0]['parameters'] / 1e6:.0f} M parameters", fontsize=10)
    rates[1].set_title(f"parameters, one row of {sizes[0]['length']}", fontsize=10)
    rates[2].set_title(f"processes, {shared[0]['rows']} rows of {shared[0]['length']}", fontsize=10)
    rates[0].set_ylabel("tokens/s in training")
    parts[0].set_ylabel("part of the ideal")
    for axes in parts:
        axes.set_ylim(0, 1.05)
        axes.yaxis.set_major_formatter("{x:.0%}")
    for axes in figure.axes:
        axes.grid(alpha=0.15, which="both")
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(outside(f"{report['processor']}, {report['machine']}, torch {report['torch']}"), fontsize=9)
    return figure


def _curve(rates: Axes, parts: Axes, rows: list[dict[str, Any]], x: list[int], label: str) -> None:
    for axes, key in ((rates, "tokens/s"), (parts, "part of products")):
        low, middle, high = ([row[key][part] for row in rows] for part in ("p20", "median", "p80"))
        axes.fill_between(x, low, high, color=COLORS[0], alpha=0.25, linewidth=0)
        axes.plot(x, middle, color=COLORS[0], marker="o", markersize=4, label="measured")
        axes.set_xscale("log", base=2 if label.startswith("tokens") else 10)
    rates.plot(x, [row["ideal tokens/s"]["median"] for row in rows], color="black", linestyle="--", label="ideal")
    rates.set_yscale("log")
    rates.legend(frameon=False)
    parts.set_xlabel(label)


def _bars(rates: Axes, parts: Axes, rows: list[dict[str, Any]]) -> None:
    places = range(len(rows))
    names = [f"{row['processes']} × {row['threads']}" for row in rows]
    for axes, key in ((rates, "tokens/s"), (parts, "part of products")):
        axes.bar(places, [row[key]["median"] for row in rows], width=0.5, color=COLORS[0])
        axes.set_xticks(places, names)
    for place, row in zip(places, rows, strict=True):
        rates.hlines(row["ideal tokens/s"]["median"], place - 0.35, place + 0.35, color="black", linestyle="--")
    parts.set_xlabel("processes × threads")
