"""Write the tables of README.md and benchmarks/README.md from what lies in benchmarks/results/.

    python -m gpt_from_scratch.benchmarks.tables            # rewrite what stands between the markers
    python -m gpt_from_scratch.benchmarks.tables --check    # only say whether it is up to date

A table stands between `<!-- table: NAME -->` and `<!-- end of table: NAME -->`; a test fails when it is not what this
command writes. A new table is one more function in TABLES.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from gpt_from_scratch.benchmarks.common.measured import Table, read, since, table_of
from gpt_from_scratch.benchmarks.cpu import tables as cpu_tables
from gpt_from_scratch.benchmarks.gpu import goals
from gpt_from_scratch.benchmarks.learning import bigram_tables, dictionary_tables
from gpt_from_scratch.benchmarks.tokenizers import tables as tokenizer_tables
from gpt_from_scratch.support.storage.files import write_text

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
FILES = (ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MARKED = re.compile(r"<!-- table: (?P<name>[\w-]+) -->\n(?P<text>.*?)<!-- end of table: (?P=name) -->", re.DOTALL)


def kernels(results: Path) -> list[str]:
    """The kernels' goals, beside what gpu_report measured."""
    report = read(results / "kernels_gpu.json")
    if report is None:
        about = "No GPU has run it yet: `python -m gpt_from_scratch.benchmarks.gpu.report --out benchmarks/results`."
    else:
        found = report["environment"]
        about = f"Measured on {found['device']}, torch {found['torch']}, commit {found['commit'][:12]}; {since(found)}."
    return ["Goals for the Triton kernels on an H200 in bf16. " + about, "", *goals.table(report)]


@table_of("kernels_gpu.json")
def contenders(report: dict[str, Any]) -> list[str]:
    """Our kernels beside the quickest of the others, at every shape."""
    found = report["environment"]
    lines = [
        f"On {found['device']}, bf16, commit {found['commit'][:12]}; {since(found)}.",
        "",
        "| op | shape | ours, forward + backward, µs | the quickest other | its µs | ours ÷ its |",
        "|---|---|---:|---|---:|---:|",
    ]
    for op, shape in dict.fromkeys((row["op"], row["shape"]) for row in report["times"]):
        rows = [r for r in report["times"] if (r["op"], r["shape"]) == (op, shape) and "error" not in r]
        medians = {row["contender"]: row["both"]["median"] * 1e6 for row in rows}
        ours = medians.pop("triton", None)
        if ours is not None and medians:
            best = min(medians, key=lambda name: medians[name])
            name = best.removeprefix("outside ")
            lines.append(
                f"| {op} | {shape} | {ours:,.1f} | {name} | {medians[best]:,.1f} | {ours / medians[best]:.2f} |"
            )
    return lines


def machine_code(results: Path) -> list[str]:
    """Table of machine-code figures of all kernels and configurations, by chip family."""
    lines = [
        "| chip | kernels × configurations | spill in bf16 or fp16 | registers, most | shared memory, most | triton |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for path in sorted(results.glob("kernels_machine_code_*.json")):
        table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        codes = table["kernels"]
        spill = sum(bool(code["spilled"]) and " fp32 " not in key for key, code in codes.items())
        registers = max(code["registers"] for code in codes.values())
        shared = max(code["shared"] for code in codes.values()) / 1024
        family = path.stem.removeprefix("kernels_machine_code_")
        lines.append(f"| {family} | {len(codes)} | {spill} | {registers} | {shared:.0f} KiB | {table['triton']} |")
    return lines


TABLES: dict[str, Table] = {
    "kernels": kernels,
    "contenders": contenders,
    "machine-code": machine_code,
    "time-to-loss": cpu_tables.time_to_loss,
    "best-loss": cpu_tables.best_loss,
    "ladder": bigram_tables.ladder,
    "bigram": bigram_tables.large,
    "dictionary": dictionary_tables.recovery,
    "tokenizer-speed": tokenizer_tables.speed,
    "tokenizer-adversarial": tokenizer_tables.adversarial,
    "cpu-steps": cpu_tables.cpu_steps,
    "generation-speed": cpu_tables.generation_speed,
    "start-up": cpu_tables.start_up,
    "scaling": cpu_tables.scaling,
}


def written(text: str, results: Path = RESULTS) -> str:
    """A page with every marked table made anew.

    Raises:
        ValueError: a marker names no table, or has no end.
    """

    def table(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in TABLES:
            raise ValueError(f"there is no table {name!r}; there are {', '.join(TABLES)}")
        body = "\n".join(TABLES[name](results))
        return f"<!-- table: {name} -->\n{body}\n<!-- end of table: {name} -->"

    begun, whole = len(re.findall(r"<!-- table: ", text)), len(MARKED.findall(text))
    if begun != whole:
        raise ValueError(f"{begun} tables begin, {whole} of them end: each needs <!-- end of table: NAME -->")
    return MARKED.sub(table, text)


def main() -> None:
    """Rewrite the files, or with --check name those that are not up to date and exit with 1."""
    parser = argparse.ArgumentParser(prog="python -m gpt_from_scratch.benchmarks.tables", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit status 1 if anything is out of date")
    arguments = parser.parse_args()
    stale = []
    for path in FILES:
        before = path.read_text(encoding="utf-8")
        if (now := written(before)) != before:
            stale.append(path.relative_to(ROOT))
            if not arguments.check:
                write_text(path, now)
    print(("out of date: " if arguments.check else "written: ") + (", ".join(map(str, stale)) or "nothing"))
    sys.exit(1 if arguments.check and stale else 0)


if __name__ == "__main__":
    main()
