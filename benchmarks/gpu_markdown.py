"""gpu_report's figures as Markdown, with the goals beside them."""

from typing import Any

# H200, bf16. (what, unit, goal, how to find it in the report)
GOALS = (
    ("attention forward, causal, d=64, 1024 tokens", "TFLOP/s", 290.0, ("b=32 h=12 t=1024 d=64", "forward TFLOP/s")),
    ("124M training step", "tokens/s", 468_000.0, ("triton", "tokens/s")),
)


def markdown(report: dict[str, Any]) -> str:
    """The whole report as a page; a figure that is not in it reads "not measured yet"."""
    lines = ["# Kernels on a GPU", ""]
    lines += [f"- {name}: {value}" for name, value in report["environment"].items()]
    parity, bits, model = report["parity"], report["equal bits"], report["model"]
    lines += [
        "",
        f"Parity: {parity['passed']} passed, {len(parity['failures'])} failed. "
        f"Different bits in {bits['runs']} runs: {len(bits['different'])}. "
        f"Whole model ({model['backend']}), compiled and accumulated: {len(model['failures'])} failures.",
    ]
    lines += [f"- {line}" for line in (*parity["failures"], *bits["different"], *model["failures"])]
    lines += ["", "## Goals (H200, bf16)", "", "| | goal | measured |", "|---|---:|---:|"]
    for name, unit, goal, (where, field) in GOALS:
        rows = [row for row in (*report["times"], *report["steps"]) if where in (row.get("shape"), row.get("backends"))]
        best = [row[field] for row in rows if field in row and row.get("contender", "triton") == "triton"]
        lines.append(f"| {name} | {goal:,.0f} {unit} | {f'{best[0]:,.0f} {unit}' if best else 'not measured yet'} |")
    lines += [
        "",
        "## Kernels",
        "",
        "| op | shape | who | forward, µs | forward + backward, µs | fwd TFLOP/s | bwd TFLOP/s | TB/s | peak MB |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in report["times"]:
        name = f"| {row['op']} | {row['shape']} | {row['contender']} |"
        if "error" in row:
            lines.append(f"{name} {escaped(row['error'])} | | | | | |")
            continue
        memory = row["peak memory, bytes"]
        figures = (
            f"{row['forward']['median'] * 1e6:,.1f}",
            f"{row['both']['median'] * 1e6:,.1f}",
            f"{row['forward TFLOP/s']:,.0f}",
            f"{row['backward TFLOP/s']:,.0f}",
            f"{row['TB/s']:.2f}",
            "" if memory is None else f"{memory / 1e6:,.0f}",
        )
        lines.append(f"{name} {' | '.join(figures)} |")
    lines += ["", "## Training steps", "", "| backends | ms | tokens/s | MFU | peak MB |", "|---|---:|---:|---:|---:|"]
    for row in report["steps"]:
        mfu = "" if row["MFU"] is None else f"{row['MFU']:.1%}"
        memory = "" if row["peak memory, bytes"] is None else f"{row['peak memory, bytes'] / 1e6:,.0f}"
        lines.append(
            f"| {row['backends']} | {row['step']['median'] * 1e3:,.2f} | {row['tokens/s']:,.0f} | {mfu} | {memory} |"
        )
    if report["left out"]:
        lines += ["", "Left out for lack of time:", "", *(f"- {what}" for what in report["left out"])]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text from a library inside a table's cell: one line, no markup of its own."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
