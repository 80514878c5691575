"""The tokenizer's figures as tables, from what `tokenizer.py` and `tokenizer_adversarial.py` wrote."""

from pathlib import Path
from typing import Any

from gpt_from_scratch.benchmarks.common.measured import NOT_MEASURED, read, table_of

FILES = ("tokenizer_1_1_10.json", "tokenizer_1_100.json", "tokenizer_2_100.json")
PEERS = ("hugging face", "rustbpe", "tiktoken", "ours in Python")


def speed(results: Path) -> list[str]:
    """Ours beside the peers: MB/s, and how many times as long each takes, the median of interleaved rounds."""
    reports = [report for name in FILES if (report := read(results / name)) is not None]
    if not reports:
        return [NOT_MEASURED]
    versions = ", ".join(f"{name} {version}" for name, version in reports[0]["versions"].items() if version)
    lines = [
        f"Times ours: the median of interleaved rounds; processor time with one thread, wall time with two. "
        f"{reports[0]['processors']} cores, {reports[0]['machine']}; {versions}.",
        "",
        f"| | MB | threads | ours, s | ours, MB/s | {' | '.join(f'{peer}, × ours' for peer in PEERS)} |",
        f"|---|---:|---:|---:|---:|{'---:|' * len(PEERS)}",
    ]
    rows = [row for report in reports for row in report["rows"]]
    for what, megabytes, threads in dict.fromkeys((r["what"], r["megabytes"], r["threads"]) for r in rows):
        of = {
            row["who"]: row
            for row in rows
            if (row["what"], row["megabytes"], row["threads"]) == (what, megabytes, threads)
        }
        for ours in (name for name in of if name.startswith("ours") and name not in PEERS):
            base = of[ours]["times_ours"]
            ratios = [f"{of[peer]['times_ours'] / base:.1f}" if peer in of else "" for peer in PEERS]
            name = what if ours == "ours" else f"{what}, {ours.removeprefix('ours').strip(' ,')}"
            figures = f"{of[ours]['best_s']:.3f} | {of[ours]['mb_per_s']:.0f}"
            lines.append(f"| {name} | {megabytes:g} | {threads} | {figures} | {' | '.join(ratios)} |")
    peaks = [row["peak_mib"] for row in rows if "peak_mib" in row]
    if peaks:
        said = ", ".join(f"{who} {mib:,.0f}" for who, mib in peaks[-1].items())
        lines += ["", f"Peak memory of a whole process that trains on the largest text, MiB: {said}."]
    return lines


@table_of("tokenizer_adversarial.json")
def adversarial(rows: list[dict[str, Any]]) -> list[str]:
    """Megabytes made to hurt: seconds and MiB, each in its own process."""
    runs = [name for name in rows[0] if name != "text"]
    lines = [
        "One megabyte of each; seconds of processor time (MiB above what the process had before).",
        "",
        f"| text | {' | '.join(runs)} |",
        f"|---|{'---:|' * len(runs)}",
    ]
    return lines + [f"| `{row['text']}` | {' | '.join(_cell(row[run]) for run in runs)} |" for row in rows]


def _cell(found: dict[str, Any]) -> str:
    return str(found["failed"]) if "failed" in found else f"{found['s']:.2f} ({found['mib']:,.0f})"
