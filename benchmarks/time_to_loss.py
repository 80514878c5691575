"""Seconds from the start of a process to the evaluation that shows a validation loss of 1.88 on Tiny Shakespeare:

    python -m gpt_from_scratch.benchmarks.time_to_loss tinyshakespeare.txt --out benchmarks/results

Our preset `shakespeare-char` beside nanoGPT's published CPU command in plain PyTorch (plain_gpt.py), which is timed to the end
of its 2,000 steps, where it is at about 1.88; its one evaluation is there. Both see the first nine tenths of the characters
and are scored on all of the last tenth. Imports and reading count. In turns, pinned to the same cores: one, then two.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from gpt_from_scratch.benchmarks.timing import summary
from gpt_from_scratch.support.files import write_text

ROOT = Path(__file__).parents[1]
GOAL = 1.88
LOSS = re.compile(r"validation loss (\d+\.\d+)")


def seconds_to_loss(command: list[str], cores: list[int], goal: float | None) -> tuple[float, float]:
    """(seconds until the line that shows a loss below `goal`, that loss); without a goal, of the last line that shows one.

    Raises:
        RuntimeError: the process ended without.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(len(cores)), "PYTHONUNBUFFERED": "1"}
    started = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    ) as process:
        assert process.stdout is not None
        reached, last = None, None
        for line in process.stdout:
            if found := LOSS.search(line):
                last = time.perf_counter() - started, float(found[1])
                if reached is None and goal is not None and last[1] < goal:
                    reached = last
    if (result := last if goal is None else reached) is None:
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode} at {last}, not below {goal}")
    return result


def main() -> None:
    """Measure, print and write time_to_loss.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, help="Tiny Shakespeare")
    parser.add_argument("--out", type=Path, help="folder for time_to_loss.json; other --cores in it are kept")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    text = str(arguments.text.resolve())
    report: dict[str, Any] = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "torch": torch.__version__,
        "goal": GOAL,
        "cores": {},
    }
    result = None if arguments.out is None else arguments.out / "time_to_loss.json"
    if result is not None and result.exists():
        earlier = json.loads(result.read_text(encoding="utf-8"))
        if all(earlier[key] == report[key] for key in ("machine", "torch", "goal")):
            report["cores"] = earlier["cores"]
    with tempfile.TemporaryDirectory() as runs:
        ours = [sys.executable, "training/train_gpt2.py", "shakespeare-char", "--data.path", text]
        commands = {
            "ours": [*ours, "--backend", "torch", "--run.folder", runs],
            "plain": [sys.executable, "-m", "gpt_from_scratch.benchmarks.plain_gpt", text],
        }
        for n in arguments.cores:
            taken: dict[str, list[float]] = {name: [] for name in commands}
            losses: dict[str, list[float]] = {name: [] for name in commands}
            for turn in range(arguments.rounds):
                for name, command in commands.items():
                    goal = GOAL if name == "ours" else None
                    seconds, loss = seconds_to_loss(command, sorted(os.sched_getaffinity(0))[:n], goal)
                    taken[name].append(seconds)
                    losses[name].append(loss)
                    print(f"cores: {n}, round {turn + 1}: {name} {seconds:.1f} s, loss {loss:.4f}", flush=True)
            medians = {name: summary(values) for name, values in taken.items()}
            ratios = [plain / our for plain, our in zip(taken["plain"], taken["ours"], strict=True)]
            report["cores"][str(n)] = {"seconds": medians, "loss": losses, "ratio": summary(ratios)}
            print(f"cores: {n}: {summary(ratios)['median']:.1f} times less time", flush=True)
    if result is not None:
        report["cores"] = dict(sorted(report["cores"].items()))
        write_text(result, json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
