"""A run that saves all the time, killed by SIGKILL again and again: what is left must always be whole.

    python -m tests.training.checkpoints.killed_saves --points 240 --seed 1

Each life of the run is a forked process (so that torch is imported once): it loads the newest checkpoint, then saves
every step, half of the lives asynchronously, and says each step it begins and each it has finished. It dies in one of
two ways: at a chosen call into the file system (every open, mkdir, rename, remove, … that Python audits), or at a random
instant from outside, which also falls into the middle of large writes. After each death the parent loads the newest
checkpoint, and compares all of it with what it must be.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from gpt_from_scratch.models.gpt import GPTConfig
from gpt_from_scratch.training.checkpoints import CheckpointStore
from tests.training.checkpoints.run import TOKENIZER, assert_is_step, state_at

CONFIG = GPTConfig(block_size=64, vocab_size=TOKENIZER.n_vocab, n_layer=1, n_head=1, n_embd=64)
WIDTH = 100_000  # of the optimizer's state: a file large enough to be killed in the middle of
WATCHED = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")


@dataclass
class Life:
    """What one process said before it died."""

    begun: int
    finished: int
    events: int


def live(folder: Path, pipe: int, wait: bool, n_saves: int, die_at: int | None) -> None:
    """Load, then save `n_saves` steps; with `die_at`, SIGKILL oneself at that audited call."""
    store = CheckpointStore(folder, keep_last=1, keep_every=0, warn=lambda line: None)
    checkpoint = store.load()
    step = checkpoint.step if checkpoint else 0
    events = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal events
        if event in WATCHED:
            events += 1
            if events == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    for _ in range(n_saves):
        step += 1
        os.write(pipe, f"begun {step}\n".encode())
        store.save(step, **state_at(step, CONFIG, WIDTH), wait=wait)
        if wait:
            os.write(pipe, f"finished {step}\n".encode())
    store.finish()
    os.write(pipe, f"finished {step}\nevents {events}\n".encode())


def run_life(
    folder: Path, *, wait: bool, n_saves: int, die_at: int | None = None, die_after: float | None = None
) -> Life:
    """One process from its start to its death or end."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        live(folder, writer, wait, n_saves, die_at)
        os._exit(0)
    os.close(writer)
    if die_after is not None:
        time.sleep(die_after)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reader) as said:
        words = [line.split() for line in said]
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) not in (0, -signal.SIGKILL):
        raise RuntimeError(f"the run failed by itself: status {status}")
    last = {"begun": 0, "finished": 0, "events": 0} | {word: int(number) for word, number in words}
    return Life(**last)


def check(folder: Path, before: int, life: Life, wait: bool) -> int:
    """The step that is left: whole, not before the last one that was there, and no more lost than was being written.

    A run that waits for its saves loses at most one. One that does not loses one more if it dies in a call of `save` that
    waits for the save before, as it does here all the time, where saves follow one another without a step between them.
    """
    checkpoint = CheckpointStore(folder, warn=fail).load()
    step = checkpoint.step if checkpoint else 0
    if checkpoint:
        assert_is_step(checkpoint, step)
    at_least = max(before, life.finished, life.begun - (1 if wait else 2))
    if not at_least <= step <= max(before, life.begun):
        raise AssertionError(f"step {step} is left, expected {at_least} to {life.begun}")
    return step


def fail(line: str) -> None:
    raise AssertionError(f"no checkpoint may be damaged by a kill: {line}")


def events_of_a_save(folder: Path) -> int:
    """The audited calls of one life with three saves, the third of which rotates as any later one."""
    return run_life(folder, wait=True, n_saves=3).events


def kill(points: int, seed: int) -> None:
    """Kill at `points` moments, half of them chosen calls (evenly spread over a life), half random instants."""
    random_ = random.Random(seed)
    with tempfile.TemporaryDirectory() as scratch:
        events = events_of_a_save(Path(scratch) / "counted")
        start = time.perf_counter()
        run_life(Path(scratch) / "timed", wait=True, n_saves=3)
        life_time = time.perf_counter() - start
        folder, step, killed = Path(scratch) / "checkpoints", 0, 0
        for point in range(points):
            wait = random_.random() < 0.5
            if point % 2 == 0:
                life = run_life(folder, wait=wait, n_saves=3, die_at=1 + (point * events) // points)
            else:
                life = run_life(folder, wait=wait, n_saves=50, die_after=random_.uniform(0, 2 * life_time))
            killed += not life.events
            step = check(folder, step, life, wait)
        leftovers = len(list(folder.glob(".*.tmp")))
        store = CheckpointStore(folder, keep_last=1)
        store.load()
        store.save(step + 1, **state_at(step + 1, CONFIG, WIDTH))
        if sorted(path.name for path in folder.iterdir()) != [store.path_of(step + 1).name]:
            raise AssertionError(f"left behind: {sorted(folder.iterdir())}")
    print(
        f"{killed} of {points} lives killed ({events} calls into the file system in a life of three saves); {step} steps "
        f"saved; every time the newest checkpoint was whole and no finished one was lost; {leftovers} leftovers cleared"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=240)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    kill(given.points, given.seed)
