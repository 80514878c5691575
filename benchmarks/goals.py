"""What the kernels should reach on an H200 in bf16, and how to find in gpu_report's figures whether they do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpt_from_scratch.benchmarks.kernel_work import Work, gpt2_step
from gpt_from_scratch.benchmarks.measured import NOT_MEASURED

Report = dict[str, Any]
Row = dict[str, Any]
ATTENTION, LAYER_NORM, ADD_LAYER_NORM, LOSS = (work for _, work in gpt2_step())


@dataclass(frozen=True)
class Goal:
    """A figure to reach: `measured` finds it in a report, None where it is not there."""

    what: str
    wanted: float
    unit: str
    measured: Callable[[Report], float | None]
    at_most: bool = False

    def verdict(self, value: float) -> str:
        """ "reached" or "missed"."""
        return "reached" if (value <= self.wanted if self.at_most else value >= self.wanted) else "missed"

    def row(self, report: Report | None) -> str:
        """One line of a Markdown table: what, goal, measured, verdict."""
        value = None if report is None else self.measured(report)
        sign = "at most" if self.at_most else "at least"
        goal = f"{sign} {shown(self.wanted, self.unit)}"
        found = (NOT_MEASURED, "") if value is None else (shown(value, self.unit), self.verdict(value))
        return f"| {self.what} | {goal} | {' | '.join(found)} |"


def table(report: Report | None) -> list[str]:
    """The goals beside what was measured, as lines of Markdown."""
    head = ["| on GPT-2 124M's shapes | goal | measured | |", "|---|---:|---:|---|"]
    return head + [goal.row(report) for goal in GOALS]


def shown(value: float, unit: str) -> str:
    """A figure with its unit: large ones in thousands, ratios to two places, shares in percent."""
    if unit == "%":
        return f"{value:.0%}"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}"


def rows_of(report: Report, work: Work) -> dict[str, Row]:
    """Contender → its row, of those that ran."""
    return {
        row["contender"]: row
        for row in report["times"]
        if (row["op"], row["shape"]) == (work.op, work.shape) and "error" not in row
    }


def value_of(work: Work, field: str) -> Callable[[Report], float | None]:
    """A figure of our kernel."""

    def measured(report: Report) -> float | None:
        ours = rows_of(report, work).get("triton")
        return None if ours is None else float(ours[field])

    return measured


def times_best(work: Work, figure: Callable[[Row], float], only: str = "") -> Callable[[Report], float | None]:
    """Our figure ÷ the best outside one (whose name ends with `only`); a figure is a rate, so above 1 is better."""

    def measured(report: Report) -> float | None:
        rows = rows_of(report, work)
        outside = [figure(row) for name, row in rows.items() if name.startswith("outside") and name.endswith(only)]
        return figure(rows["triton"]) / max(outside) if "triton" in rows and outside else None

    return measured


def both_ways(row: Row) -> float:
    """Passes a second, forward + backward."""
    return 1 / float(row["both"]["median"])


def part_of_copy(work: Work) -> Callable[[Report], float | None]:
    """The part of the card's own copy bandwidth that forward + backward reach."""
    ours = value_of(work, "TB/s")

    def measured(report: Report) -> float | None:
        reached = ours(report)
        return None if reached is None or "ceilings" not in report else reached / float(report["ceilings"]["TB/s"])

    return measured


def part_of_memory(report: Report) -> float | None:
    """Our loss's peak memory ÷ compiled eager's."""
    rows = rows_of(report, LOSS)
    peaks = [rows.get(name, {}).get("peak memory, bytes") for name in ("triton", "outside inductor")]
    return None if None in peaks else peaks[0] / peaks[1]


def step_rate(report: Report) -> float | None:
    """Tokens a second of a training step with our kernels."""
    rows = (row for row in report["steps"] if row["backends"] == "triton" and "error" not in row)
    return next((float(row["tokens/s"]) for row in rows), None)


GOALS = (
    Goal("attention forward, causal, d=64, 1024 tokens", 290, "TFLOP/s", value_of(ATTENTION, "forward TFLOP/s")),
    Goal("the same, beside the best of torch's", 1.0, "×", times_best(ATTENTION, lambda row: row["forward TFLOP/s"])),
    Goal("its backward, beside the best of torch's", 0.9, "×", times_best(ATTENTION, lambda r: r["backward TFLOP/s"])),
    Goal("layer_norm, both passes, beside eager, compiled, Liger", 1.0, "×", times_best(LAYER_NORM, both_ways)),
    Goal("layer_norm, part of copy bandwidth, 32k rows", 0.7, "%", part_of_copy(LAYER_NORM)),
    Goal("add_layer_norm, both passes, beside the same", 1.0, "×", times_best(ADD_LAYER_NORM, both_ways)),
    Goal("add_layer_norm, part of copy bandwidth, 32k rows", 0.7, "%", part_of_copy(ADD_LAYER_NORM)),
    Goal("linear_cross_entropy, 32k tokens, beside compiled eager", 1.0, "×", times_best(LOSS, both_ways, "inductor")),
    Goal("its peak memory, part of compiled eager's", 0.2, "%", part_of_memory, at_most=True),
    Goal("training step, llm.c's rate on an H100", 468_000, "tokens/s", step_rate),
    Goal("training step, the aim", 550_000, "tokens/s", step_rate),
)
