"""SIGTERM to torchrun, again and again: while training, evaluating, sampling. Nothing may be lost, and it must not take long.

    python -m tests.training.faults.signals [--signals 21] [--seed 1] [--write]

Each life of the run is the same command with `--resume auto`; in the end every loss and every weight must be those of a
run that nobody disturbed. That a signal came while the run evaluated or sampled shows in its record: that evaluation, or
those samples, are missing from this life.
"""

import argparse
import os
import random
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.training.faults.launch import (
    TINY,
    Job,
    assert_same_run,
    last_step,
    newest,
    publish,
    records,
    spread,
    text_file,
)

RANKS = 2
PHASES = ("training", "evaluating", "sampling")
EVERY = 25  # steps between evaluations, and between samples: each takes about a second here
EVALUATES = (
    f"--data.validation-fraction 0.5 --run.eval-every {EVERY} --run.sample-every {EVERY} --run.n-samples 4".split()
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signals", type=int, default=21)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/signals.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        text = prove(Path(scratch), given.signals, given.seed)
    print(text)
    if given.write:
        command = f"python -m tests.training.faults.signals --signals {given.signals} --write"
        publish("signals", "SIGTERM while training, evaluating and sampling", command, text)


def prove(scratch: Path, count: int, seed: int) -> str:
    """Stop a run so often, one phase after the other; the table of what was measured.

    Raises:
        AssertionError: a step was lost, or the run ended otherwise than undisturbed.
    """
    draw = random.Random(seed)
    arguments = [*TINY, *EVALUATES, "--data.path", str(text_file(scratch / "text.txt", 100_000)), "--run.sample-tokens"]
    arguments += [
        "300",
        "--steps",
        str(EVERY * (count + 1)),
        "--run.checkpoint-every",
        "0",
        "--run.folder",
        str(scratch),
    ]
    whole = Job([*arguments, "--run.name", "whole"], scratch / "whole.txt", ranks=RANKS)
    arguments += ["--run.name", "stopped", "--resume", "auto"]
    folder = scratch / "stopped"
    saved: dict[str, list[float]] = {phase: [] for phase in PHASES}
    ended: list[float] = []
    job = None
    try:
        whole.finish(600)
        for number in range(count):
            job = Job(arguments, scratch / f"{number}.txt", ranks=RANKS)
            phase = PHASES[number % len(PHASES)]
            wait_for_phase(job, folder, phase, draw)
            start = time.monotonic()
            os.kill(job.process.pid, signal.SIGTERM)
            job.process.wait(60)
            ended.append(time.monotonic() - start)
            step, lines = last_step(folder), records(folder)
            assert newest(folder).name == f"step-{step:08d}", f"step {step} was made, saved is {newest(folder)}"
            assert "stopped by SIGTERM and saved" in lines[-1]["message"], job.printed()
            in_its_life = [line["kind"] for line in lines if line["step"] == step]
            if phase != "training":
                assert {"evaluating": "eval", "sampling": "sample"}[phase] not in in_its_life, (
                    "the signal came too late"
                )
            saved[phase].append(newest(folder).stat().st_mtime - (time.time() - (time.monotonic() - start)))
        job = Job(arguments, scratch / "last.txt", ranks=RANKS)
        job.finish(600)
        assert_same_run(scratch / "whole", folder)
    finally:
        whole.end()
        if job is not None:
            job.end()
    rows = [
        f"| SIGTERM to torchrun ({RANKS} ranks) while {phase}, no step lost | {len(saved[phase])} times |"
        for phase in PHASES
    ]
    rows += [f"| saved, from the signal, while {phase} | after {spread(saved[phase])} |" for phase in PHASES]
    rows.append(f"| torchrun has ended, from the signal | after {spread(ended)} |")
    rows.append(f"| losses of {EVERY * (count + 1)} steps and final weights | bit-equal to an undisturbed run |")
    return "\n".join(["| | |", "|---|---|", *rows])


def wait_for_phase(job: Job, folder: Path, phase: str, draw: random.Random) -> None:
    """Return somewhere within this phase of the next steps."""
    begin = last_step(folder)

    def last() -> dict[str, Any]:
        return next((line for line in reversed(records(folder)) if line["kind"] != "event"), {"kind": "", "step": 0})

    if phase == "training":
        target = begin + draw.randrange(1, EVERY)
        job.wait_for(lambda: (last()["kind"] == "train" and last()["step"] >= target) or None)
        return
    kind = "train" if phase == "evaluating" else "eval"
    job.wait_for(lambda: (last()["kind"] == kind and last()["step"] > begin and last()["step"] % EVERY == 0) or None)
    time.sleep(draw.uniform(0, 0.2))


if __name__ == "__main__":
    main()
