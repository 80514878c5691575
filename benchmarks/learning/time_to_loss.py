"""Seconds from the start of a process to the evaluation that shows a validation loss of 1.88 on Tiny Shakespeare:

    python -m gpt_from_scratch.benchmarks.learning.time_to_loss tinyshakespeare.txt --out benchmarks/results

Our preset `shakespeare-char` beside nanoGPT's published CPU command in plain PyTorch (plain_gpt.py), which is timed to the end
of its 2,000 steps, where it is a little above 1.88; its one evaluation is there. Both see the first nine tenths of the
characters and are scored on all of the last tenth. Imports and reading count. In turns, pinned to the same cores: one, then
two.
"""

import argparse
import os
import platform
import re
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from gpt_from_scratch.benchmarks.common import machine
from gpt_from_scratch.benchmarks.common.timed_lines import timed_lines
from gpt_from_scratch.benchmarks.common.timing import summary

FILE = "time_to_loss.json"
GOAL = 1.88
LOSS = re.compile(r"validation loss (\d+\.\d+)")


def seconds_to_loss(command: list[str], cores: list[int], goal: float) -> tuple[float, float]:
    """(seconds until the first line that shows a loss below `goal`, that loss), where the command is ended.

    Raises:
        RuntimeError: the command ended without, or with an error.
    """
    last = None
    with closing(timed_lines(command, cores)) as lines:
        for seconds, line in lines:
            if found := LOSS.search(line):
                last = seconds, float(found[1])
                if last[1] < goal:
                    return last
    raise RuntimeError(f"{' '.join(command)} ended at {last}, not below {goal}")


def main() -> None:
    """Measure, print and write time_to_loss.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, help="Tiny Shakespeare")
    parser.add_argument("--out", type=Path, help=f"folder for {FILE}; other --cores in it are kept")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    text = str(arguments.text.resolve())
    path = None if arguments.out is None else arguments.out / FILE
    about = {"machine": f"{os.cpu_count()} cores, {platform.machine()}", "torch": torch.__version__, "goal": GOAL}
    report: dict[str, Any] = {"cores": {}} | machine.continued(path, about)
    with tempfile.TemporaryDirectory() as runs:
        ours = [sys.executable, "training/train_gpt2.py", "shakespeare-char", "--data.path", text]
        plain = [sys.executable, "-m", "gpt_from_scratch.benchmarks.cpu.plain_gpt", text]
        # The plain one prints a single loss, at its end.
        commands = {
            "ours": ([*ours, "--backend", "torch", "--run.folder", runs], GOAL),
            "plain": (plain, float("inf")),
        }
        for n in arguments.cores:
            taken: dict[str, list[float]] = {name: [] for name in commands}
            losses: dict[str, list[float]] = {name: [] for name in commands}
            for turn in range(arguments.rounds):
                for name, (command, goal) in commands.items():
                    seconds, loss = seconds_to_loss(command, sorted(os.sched_getaffinity(0))[:n], goal)
                    taken[name].append(seconds)
                    losses[name].append(loss)
                    print(f"cores: {n}, round {turn + 1}: {name} {seconds:.1f} s, loss {loss:.4f}", flush=True)
            medians = {name: summary(values) for name, values in taken.items()}
            ratios = [plain / our for plain, our in zip(taken["plain"], taken["ours"], strict=True)]
            report["cores"][str(n)] = {"seconds": medians, "loss": losses, "ratio": summary(ratios)}
            report["cores"] = dict(sorted(report["cores"].items()))
            machine.write(path, report)
            print(f"cores: {n}: {summary(ratios)['median']:.1f} times less time", flush=True)


if __name__ == "__main__":
    main()
