"""Goals of the kernels on an H200 in bf16, op by op, and of the training step with all of them."""

from gpt_from_scratch.benchmarks.common.measured import NOT_MEASURED
from gpt_from_scratch.kernels.benchmarking import Goal, Report
from gpt_from_scratch.kernels.registry import load_ops


def table(report: Report | None) -> list[str]:
    """The goals beside what was measured, as lines of Markdown."""
    head = ["| on GPT-2 124M's shapes | goal | measured | |", "|---|---:|---:|---|"]
    return head + [row(goal, report) for goal in goals()]


def row(goal: Goal, report: Report | None) -> str:
    """One line of a Markdown table: what, goal, measured, verdict."""
    value = None if report is None else goal.measured(report)
    wanted = f"{'at most' if goal.at_most else 'at least'} {shown(goal.wanted, goal.unit)}"
    found = (NOT_MEASURED, "") if value is None else (shown(value, goal.unit), goal.verdict(value))
    return f"| {goal.what} | {wanted} | {' | '.join(found)} |"


def shown(value: float, unit: str) -> str:
    """A figure with its unit: large ones in thousands, ratios to two places, shares in percent."""
    if unit == "%":
        return f"{value:.0%}"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.2f} {unit}"


def step_rate(report: Report) -> float | None:
    """Tokens a second of a training step with our kernels."""
    rows = (row for row in report["steps"] if row["backends"] == "triton" and "error" not in row)
    return next((float(row["tokens/s"]) for row in rows), None)


def goals() -> list[Goal]:
    """All goals: those of the ops, then that of the training step."""
    return [goal for made in load_ops().values() for goal in made.spec.goals] + [
        Goal("training step, llm.c's rate on an H100", 468_000, "tokens/s", step_rate),
        Goal("training step, the aim", 550_000, "tokens/s", step_rate),
    ]
