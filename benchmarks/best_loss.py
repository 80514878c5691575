"""How low the validation loss on Tiny Shakespeare's characters gets in a quarter of an hour:

    python -m gpt_from_scratch.benchmarks.best_loss tinyshakespeare.txt --out benchmarks/results     # 45 minutes

The preset `shakespeare-char-long` with several seeds, one after the other, each from the start of its process: every evaluation
on the whole last tenth of the text, with the seconds it came after. What comes later than --minutes does not count.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gpt_from_scratch.benchmarks import machine

ROOT = Path(__file__).parents[1]
FILE = "best_loss.json"
PRESET = "shakespeare-char-long"
EVALUATION = re.compile(r"step (\d+)/\d+  validation loss (\d+\.\d+)")


def evaluations(command: list[str]) -> list[dict[str, float]]:
    """Step, loss and seconds since the start of each evaluation that a command prints.

    Raises:
        RuntimeError: the command failed.
    """
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    started, found = time.perf_counter(), []
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if match := EVALUATION.search(line):
                seconds = round(time.perf_counter() - started, 1)
                found.append({"step": int(match[1]), "loss": float(match[2]), "seconds": seconds})
                print(f"  {seconds:6.1f} s  step {match[1]}  validation loss {match[2]}", flush=True)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}")
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and write best_loss.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, help="Tiny Shakespeare")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, help=f"folder for {FILE}; other seeds in it are kept")
    parser.add_argument(
        "--train", nargs=argparse.REMAINDER, default=[], help="further arguments of the training command"
    )
    options = parser.parse_args(arguments)
    path = None if options.out is None else options.out / FILE
    about = machine.environment() | {"preset": PRESET, "minutes": options.minutes}
    report: dict[str, Any] = {**about, "seeds": machine.kept(path, about).get("seeds", {})}
    for seed in options.seeds:
        print(f"seed {seed}", flush=True)
        with tempfile.TemporaryDirectory() as runs:
            command = [sys.executable, "training/train_gpt2.py", PRESET, "--data.path", str(options.text.resolve())]
            command += ["--backend", "torch", "--seed", str(seed), "--run.folder", runs, *options.train]
            report["seeds"][str(seed)] = evaluations(command)
        machine.write(path, report)
        within = [at["loss"] for at in report["seeds"][str(seed)] if at["seconds"] <= 60 * options.minutes]
        print(f"seed {seed}: {min(within, default=float('nan')):.4f} within {options.minutes:g} minutes", flush=True)


if __name__ == "__main__":
    main()
