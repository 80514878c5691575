"""The lowest validation loss on Tiny Shakespeare's characters within a quarter of an hour:

    python -m gpt_from_scratch.benchmarks.learning.best_loss tinyshakespeare.txt --out benchmarks/results     # 45 minutes

The preset `shakespeare-char-long` with several seeds, one after the other, each from the start of its process: every evaluation
on the whole last tenth of the text, with the seconds it came after. What comes later than --minutes does not count.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from gpt_from_scratch.benchmarks.common import machine
from gpt_from_scratch.benchmarks.common.timed_lines import timed_lines

FILE = "best_loss.json"
PRESET = "shakespeare-char-long"
EVALUATION = re.compile(r"step (\d+)/\d+  validation loss (\d+\.\d+)")


def evaluations(command: list[str]) -> list[dict[str, float]]:
    """Step, loss and seconds since the start of each evaluation that a command prints.

    Raises:
        RuntimeError: the command failed.
    """
    found = []
    for seconds, line in timed_lines(command):
        if match := EVALUATION.search(line):
            found.append({"step": int(match[1]), "loss": float(match[2]), "seconds": round(seconds, 1)})
            print(f"  {seconds:6.1f} s  step {match[1]}  validation loss {match[2]}", flush=True)
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and write best_loss.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, help="Tiny Shakespeare")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, help=f"folder for {FILE}; other seeds in it are kept")
    parser.add_argument(
        "--settings", nargs=argparse.REMAINDER, default=[], help="the rest of the line: more settings of the run"
    )
    options = parser.parse_args(arguments)
    path = None if options.out is None else options.out / FILE
    about = machine.environment() | {"preset": " ".join([PRESET, *options.settings]), "minutes": options.minutes}
    report: dict[str, Any] = {"seeds": {}} | machine.continued(path, about)
    for seed in options.seeds:
        print(f"seed {seed}", flush=True)
        with tempfile.TemporaryDirectory() as runs:
            command = [sys.executable, "training/train_gpt2.py", PRESET, "--data.path", str(options.text.resolve())]
            command += ["--backend", "torch", "--seed", str(seed), "--run.folder", runs, *options.settings]
            report["seeds"][str(seed)] = evaluations(command)
        machine.write(path, report)
        within = [at["loss"] for at in report["seeds"][str(seed)] if at["seconds"] <= 60 * options.minutes]
        print(f"seed {seed}: {min(within, default=float('nan')):.4f} within {options.minutes:g} minutes", flush=True)


if __name__ == "__main__":
    main()
