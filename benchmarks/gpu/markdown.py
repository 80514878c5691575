"""gpu_report's figures as Markdown, with the goals beside them."""

from typing import Any

from gpt_from_scratch.benchmarks.gpu import goals


def markdown(report: dict[str, Any]) -> str:
    """The whole report as a page; a figure that is not in it reads "not measured yet"."""
    parity, bits, model = report["parity"], report["equal bits"], report["model"]
    layouts = ", ".join(f"{name} {count}" for name, count in parity["layouts"].items())
    lines = [
        "# Kernels on a GPU",
        "",
        *(f"- {name}: {value}" for name, value in report["environment"].items()),
        "",
        f"Parity: {parity['passed']} passed, {len(parity['failures'])} failed (odd layouts among them: {layouts}). "
        f"Different bits in {bits['runs']} runs: {len(bits['different'])}. Whole model ({model['backend']}) compiled as one "
        f"graph, gradients accumulated, opcheck: {len(model['failures'])} failures.",
        *(f"- {escaped(line)}" for line in failures(report)),
        "",
        f"## Goals (set for an H200 in bf16; measured on {report['environment']['device']})",
        "",
        *goals.table(report),
        "",
        *kernels(report),
        "",
        *steps(report),
    ]
    if report["left out"]:
        lines += ["", "Left out for lack of time:", "", *(f"- {what}" for what in report["left out"])]
    return "\n".join(lines) + "\n"


def failures(report: dict[str, Any]) -> list[str]:
    """Everything that must not be: a wrong figure, other bits, a kernel of ours that would not run."""
    refused = [
        f"{row['op']} {row['shape']}: {row['error']}"
        for row in report["times"]
        if row["contender"] == "triton" and "error" in row
    ]
    refused += [f"step, {row['backends']}: {row['error']}" for row in report["steps"] if "error" in row]
    found: list[str] = [*report["parity"]["failures"], *report["equal bits"]["different"], *report["model"]["failures"]]
    return found + refused


def kernels(report: dict[str, Any]) -> list[str]:
    """Every contender's times, and in brackets the part of what the card itself reaches."""
    ceilings = report["ceilings"]
    lines = [
        "## Kernels",
        "",
        f"A product of 8192³ reaches {ceilings['TFLOP/s']:,.0f} TFLOP/s on this card, a copy {ceilings['TB/s']:.2f} TB/s: "
        "percentages are of these. Medians; forward + backward with its 20th and 80th percentile.",
        "",
        "| op | shape | who | forward, µs | forward + backward, µs | fwd TFLOP/s | bwd TFLOP/s | TB/s | peak MB |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in report["times"]:
        name = f"| {row['op']} | {row['shape']} | {row['contender']} |"
        if "error" in row:
            lines.append(f"{name} refuses: {escaped(row['error'])} | | | | | |")
            continue
        both = row["both"]
        figures = (
            f"{row['forward']['median'] * 1e6:,.1f}",
            f"{both['median'] * 1e6:,.1f} ({both['p20'] * 1e6:,.1f}–{both['p80'] * 1e6:,.1f})",
            rate(row["forward TFLOP/s"], ceilings["TFLOP/s"], 0),
            rate(row["backward TFLOP/s"], ceilings["TFLOP/s"], 0),
            rate(row["TB/s"], ceilings["TB/s"], 2),
            megabytes(row["peak memory, bytes"]),
        )
        lines.append(f"{name} {' | '.join(figures)} |")
    return lines


def rate(value: float, ceiling: float, places: int) -> str:
    """A rate with its part of the ceiling; nothing where the work is not counted so."""
    return f"{value:,.{places}f} ({value / ceiling:.0%})" if value else ""


def megabytes(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:,.0f}"


def steps(report: dict[str, Any]) -> list[str]:
    """Training steps by backend; the A/B is the median over the rounds of the time beside all of ours in that round."""
    lines = [
        "## Training steps",
        "",
        "GPT-2 124M, 32 × 1024 tokens, bf16, AdamW, compiled block by block; the variants take turns, one step each a round.",
        "",
        "| backends | ms (p20–p80) | tokens/s | MFU | beside all of ours | peak MB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in report["steps"]:
        if "error" in row:
            lines.append(f"| {row['backends']} | {escaped(row['error'])} | | | | |")
            continue
        step, beside = row["step"], row["beside ours"]
        figures = (
            f"{step['median'] * 1e3:,.2f} ({step['p20'] * 1e3:,.2f}–{step['p80'] * 1e3:,.2f})",
            f"{row['tokens/s']:,.0f}",
            "" if row["MFU"] is None else f"{row['MFU']:.1%}",
            "" if beside is None else f"{beside['median']:.3f} × ({beside['p20']:.3f}–{beside['p80']:.3f})",
            megabytes(row["peak memory, bytes"]),
        )
        lines.append(f"| {row['backends']} | {' | '.join(figures)} |")
    return lines


def escaped(text: str) -> str:
    """Text from a library inside a table's cell: one line, no markup of its own."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
