"""A run of two ranks, killed or frozen again and again; torchrun restarts it, and it must end as if nothing had happened.

    python -m tests.training.faults.restarts [--kills 20] [--freezes 5] [--seed 1] [--write]

One torchrun, plain but for --max-restarts. Each time a random rank is hit at a random step: by SIGKILL, or by SIGSTOP (then
killed as well once it was reported, since torchrun itself would give it 30 s). Measured from outside: how long until the
other rank says which one is gone, and how long until the next step is recorded. In the end every loss and every
weight must be those of a run that nobody disturbed.
"""

import argparse
import os
import random
import re
import signal
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.training.faults.launch import (
    TINY,
    Job,
    assert_same_run,
    last_step,
    publish,
    records,
    spread,
    text_file,
)

TIMEOUT = 3.0  # seconds, --run.timeout
INTERVAL = 20  # steps, --run.checkpoint-every


class Fault(NamedTuple):
    """What a fault led to: seconds until it was named and until the next step, where the run went on, steps made twice."""

    signal: signal.Signals
    named: float
    back: float
    resumed_at: int
    repeated: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--freezes", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/restarts.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        text = prove(Path(scratch), kills=given.kills, freezes=given.freezes, seed=given.seed)
    print(text)
    if given.write:
        command = f"python -m tests.training.faults.restarts --kills {given.kills} --freezes {given.freezes} --write"
        publish("restarts", "A rank killed or frozen, and restarted by torchrun", command, text)


def prove(scratch: Path, *, kills: int, freezes: int, seed: int, beside: bool = False) -> str:
    """Hit a run so often; the table of what was measured. `beside`: the undisturbed run at the same time, for haste.

    Raises:
        AssertionError: a restart did not go on, a fault was not reported, or the run ended otherwise than undisturbed.
    """
    draw = random.Random(seed)
    faults = [signal.SIGKILL] * kills + [signal.SIGSTOP] * freezes
    draw.shuffle(faults)
    steps = 60 * len(faults) + 100
    arguments = [*TINY, "--data.path", str(text_file(scratch / "text.txt")), "--steps", str(steps)]
    arguments += ["--run.timeout", str(TIMEOUT), "--run.folder"]
    jobs = [Job([*arguments, str(scratch / "whole")], scratch / "whole.txt", ranks=2)]
    try:
        if not beside:
            jobs[0].finish(600)
        job = Job(
            [*arguments, str(scratch / "hit")], scratch / "hit.txt", ranks=2, launch=[f"--max-restarts={len(faults)}"]
        )
        jobs.append(job)
        folder = job.wait_for(lambda: next((scratch / "hit").glob("*/"), None))
        at_step = draw.randrange(
            1, 15
        )  # the first one before there is a checkpoint: the run begins again in its folder
        done = []
        for fault in faults:
            done.append(strike(job, folder, fault, draw.randrange(2), at_step))
            at_step = done[-1].resumed_at + draw.randrange(25, 80)
        job.finish(600)
        jobs[0].finish(600)
        assert_same_run(next((scratch / "whole").glob("*/")), folder)
        assert len(list((scratch / "hit").glob("*/"))) == 1
    finally:
        for started in jobs:
            started.end()
    repeated = sum(fault.repeated for fault in done)
    lines = [
        f"| faults | {kills} times SIGKILL, {freezes} times SIGSTOP, of a random rank of 2 at a random step |",
        f"| torchrun's restarts that went on in the same run | {len(done)} of {len(faults)} |",
        f"| losses of {steps} steps and final weights | bit-equal to an undisturbed run |",
        f"| steps made twice (checkpoint every {INTERVAL}) | {repeated} of {steps + repeated} |",
    ]
    for number, what in ((signal.SIGKILL, "killed rank"), (signal.SIGSTOP, f"frozen rank (timeout {TIMEOUT:g} s)")):
        if some := [fault for fault in done if fault.signal == number]:
            lines.append(f"| {what} named by the other | after {spread([fault.named for fault in some])} |")
    if killed := [fault.back for fault in done if fault.signal == signal.SIGKILL]:
        lines.append(f"| next step recorded after the kill | after {spread(killed)} |")
    return "\n".join(["| | |", "|---|---|", *lines])


def strike(job: Job, folder: Path, number: signal.Signals, rank: int, at_step: int) -> Fault:
    """Hit a rank once the run has reached a step; waits until the other has named it and the run has gone on."""
    job.wait_for(lambda: last_step(folder) >= at_step or None)
    before, said = len(records(folder)), len(job.printed())
    victim, start = job.workers()[rank], time.monotonic()
    os.kill(victim, number)
    told = rf"error on rank {1 - rank}: another rank is gone.*\n  rank {rank} was last seen at step \d+"
    job.wait_for(lambda: re.search(told, job.printed()[said:]), TIMEOUT + 20)
    named = time.monotonic() - start
    if number == signal.SIGSTOP:
        os.kill(victim, signal.SIGKILL)
    reached = job.wait_for(lambda: went_on(folder, before))
    back = time.monotonic() - start
    lines = records(folder)
    last = max((line["step"] for line in lines[:reached] if line["kind"] == "train"), default=0)
    resumed_at = lines[reached]["step"] - 1
    # A save may still have been under way; then the one before it counts.
    assert last - resumed_at <= 2 * INTERVAL, f"from step {last} back to {resumed_at}"
    return Fault(number, named, back, resumed_at, max(0, last - resumed_at))


def went_on(folder: Path, before: int) -> int | None:
    """The index of the first training line after the run has begun again; `before`: how many lines there were."""
    lines = records(folder)
    begun = [n for n, line in enumerate(lines) if n >= before and line["kind"] == "event"]
    return next((n for n in range(begun[0], len(lines)) if lines[n]["kind"] == "train"), None) if begun else None


if __name__ == "__main__":
    main()
