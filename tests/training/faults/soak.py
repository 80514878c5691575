"""Ten minutes with a kill a minute: how much of the work counts, and is the loss curve that of a run without faults?

    python -m tests.training.faults.soak [--minutes 10] [--every 60] [--seed 1] [--write]

One torchrun of two ranks with --max-restarts; a random rank is killed by SIGKILL every so many seconds. The run without
faults goes on at the same time, on the same cores, until it has come as far.
"""

import argparse
import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.training.faults.launch import TINY, Job, last_step, losses, publish, records, text_file

LARGER = (
    "--model.n-layer 2 --model.n-embd 64 --model.block-size 64 --batch-size 8 --steps 1000000 --run.checkpoint-every 50"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--every", type=float, default=60, help="seconds between two kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true", help="write benchmarks/results/soak.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        text = prove(Path(scratch), 60 * given.minutes, given.every, given.seed)
    print(text)
    if given.write:
        command = f"python -m tests.training.faults.soak --minutes {given.minutes:g} --every {given.every:g} --write"
        publish("soak", "Soak: a kill a minute", command, text)


def prove(scratch: Path, seconds: float, every: float, seed: int) -> str:
    """Kill a rank now and then, for so long; the table of what was measured.

    Raises:
        AssertionError: fewer than 95 % of the steps were made only once, or a loss differs.
    """
    draw = random.Random(seed)
    arguments = [*TINY, *LARGER.split(), "--data.path", str(text_file(scratch / "text.txt", 5000)), "--run.folder"]
    arguments += [str(scratch), "--run.name"]
    whole = Job([*arguments, "whole"], scratch / "whole.txt", ranks=2)
    hit = Job([*arguments, "hit"], scratch / "hit.txt", ranks=2, launch=["--max-restarts=1000"])
    folder, start, kills = scratch / "hit", time.monotonic(), 0
    try:
        while (left := start + seconds - time.monotonic()) > every / 2:
            time.sleep(min(every, left))
            assert hit.process.poll() is None, hit.printed()[-6000:]
            os.kill(draw.choice(hit.workers()), signal.SIGKILL)
            kills += 1
        hit.wait_for(lambda: restarts(folder) == kills or None)  # it must come back from the last one too
        time.sleep(5)
        stop(hit)
        minutes, steps = (time.monotonic() - start) / 60, last_step(folder)
        whole.wait_for(lambda: last_step(scratch / "whole") >= steps or None, seconds)
        stop(whole)
    finally:
        whole.end()
        hit.end()
    lines = records(folder)
    made = sum(line["kind"] == "train" for line in lines)
    back = restarts(folder)
    undisturbed, curve = losses(scratch / "whole"), losses(folder)
    assert curve == {step: undisturbed[step] for step in range(1, steps + 1)}, "the loss curves differ"
    assert back == kills, f"{kills} kills, but the run went on {back} times"
    assert steps >= 0.95 * made, f"only {steps} of {made} steps count"
    rows = [
        f"| kills in {minutes:.1f} minutes, a random rank of 2 each | {kills} |",
        f"| restarts that went on | {back} |",
        f"| steps that count, of all that were made | {steps} of {made}, {steps / made:.2%} |",
        f"| loss curve of {steps} steps | bit-equal to a run without faults |",
    ]
    return "\n".join(["| | |", "|---|---|", *rows])


def restarts(folder: Path) -> int:
    """How often the run has begun again."""
    return sum(line["kind"] == "event" and line["message"].startswith("resumed") for line in records(folder))


def stop(job: Job) -> None:
    """As a scheduler would."""
    job.process.terminate()
    try:
        job.process.wait(60)
    except subprocess.TimeoutExpired:
        raise AssertionError(job.printed()[-6000:]) from None


if __name__ == "__main__":
    main()
