"""Benchmark of start-up: seconds from the command to the first training step of `tiny`, and those of a minimal script:

    python -m gpt_from_scratch.benchmarks.cpu.start_up --out benchmarks/results

Under torchrun and under plain python. The script that we are compared with imports torch, builds an AdamW over one
nn.Linear and prints a line. Ours runs with its default settings, but for a line of figures after every step, so that the
first step is seen when it is done; when the other lines came says where the time went. Each is started once before, so that
files are read and kernels compiled as on any but the very first day. In turns; then the run is asked to stop.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from gpt_from_scratch.benchmarks.common import machine
from gpt_from_scratch.benchmarks.common.timed_lines import timed_lines
from gpt_from_scratch.benchmarks.common.timing import summary

FILE = "start_up.json"
TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node=1"]
EMPTY_FILE = "empty.py"
EMPTY = """\
import torch
optimizer = torch.optim.AdamW(torch.nn.Linear(8, 8).parameters())
print("ready", flush=True)
"""
FIRST_STEP = r"^step 1/\d+  loss "
MOMENTS = {
    "prints its first line": "",
    "reads its data": r"^data: ",
    "knows its backends": r"^device ",
    "has taken its first step": FIRST_STEP,
}
"""Milestones of a run, by patterns of its output lines."""


def seconds_to(command: list[str], moments: Mapping[str, str]) -> dict[str, float]:
    """Moment → seconds from the start of the command to the first line that matches; at the last one it is ended.

    Raises:
        RuntimeError: it ended before.
    """
    left, found, said = dict(moments), {}, []
    last = list(moments)[-1]
    with closing(timed_lines([sys.executable, *command])) as lines:
        for seconds, line in lines:
            said.append(line)
            for moment in [moment for moment, pattern in left.items() if re.search(pattern, line)]:
                found[moment] = seconds
                del left[moment]
            if last in found:
                return found
    raise RuntimeError(f"{' '.join(command)} ended before it {last}:\n{''.join(said)}")


def commands(folder: Path, arguments: list[str]) -> dict[str, tuple[list[str], Mapping[str, str]]]:
    """Name → (command, what to wait for)."""
    empty = folder / EMPTY_FILE
    ours = ["training/train_gpt2.py", "tiny", "--run.folder", str(folder), "--run.log-every", "1", *arguments]
    return {
        "torchrun": ([*TORCHRUN, *ours], MOMENTS),
        "torchrun, empty": ([*TORCHRUN, str(empty)], {"ready": "^ready"}),
        "python": (ours, MOMENTS),
        "python, empty": ([str(empty)], {"ready": "^ready"}),
    }


def measure(rounds: int, names: list[str], arguments: list[str]) -> dict[str, Any]:
    """Seconds of each, round after round after one that does not count; and what ours takes longer than the empty one."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / EMPTY_FILE).write_text(EMPTY, encoding="utf-8")
        chosen = {name: made for name, made in commands(Path(folder), arguments).items() if name in names}
        for turn in range(rounds + 1):
            for name, (command, moments) in chosen.items():
                seconds = seconds_to(command, moments)
                if turn:
                    found[name].append(seconds)
                shown = f"round {turn}" if turn else "not counted"
                print(f"{shown}: {name} {list(seconds.values())[-1]:.2f} s", flush=True)
    ends = {name: [list(seconds.values())[-1] for seconds in rows] for name, rows in found.items()}
    return {
        "rounds": rounds,
        "seconds": {name: summary(values) for name, values in ends.items()},
        "more than empty": {
            name: summary([ours - other for ours, other in zip(ends[name], ends[f"{name}, empty"], strict=True)])
            for name in names
            if f"{name}, empty" in ends
        },
        "moments": {
            name: {moment: summary([row[moment] for row in rows]) for moment in rows[0]}
            for name, rows in found.items()
            if len(rows[0]) > 1
        },
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and write start_up.json."""
    names = list(commands(Path(), []))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="some of the commands (default: all)")
    parser.add_argument("--out", type=Path, help=f"folder for {FILE}")
    parser.add_argument(
        "settings", nargs="*", help="more settings of the run, after --; then it is no longer the default"
    )
    options = parser.parse_args(arguments)
    report = {**machine.environment(), "settings": options.settings}
    report |= measure(options.rounds, options.only, options.settings)
    machine.write(None if options.out is None else options.out / FILE, report)
    for name, taken in report["seconds"].items():
        print(f"{taken['median']:7.2f} s  {name}")
    for name, more in report["more than empty"].items():
        print(f"{more['median']:+7.2f} s  {name}, beside the empty script")
    for name, moments in report["moments"].items():
        for moment, taken in moments.items():
            print(f"{taken['median']:7.2f} s  {name} {moment}")


if __name__ == "__main__":
    main()
