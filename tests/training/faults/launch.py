"""Real torchruns of a tiny run, watched from outside by what they write; and the page that a proof writes."""

import json
import os
import platform
import random
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import torch

from gpt_from_scratch.models.gpt import GPT

ROOT = Path(__file__).parents[3]
SCRIPT = "training/train_gpt2.py"
RESULTS = ROOT / "benchmarks" / "results"
TINY = shlex.split(
    "tiny --model.n-layer 1 --model.n-head 2 --model.n-embd 16 --model.block-size 16 --data.tokenizer character "
    "--batch-size 4 --run.eval-every 0 --run.sample-every 0 --run.n-final-samples 1 --run.sample-tokens 8 "
    "--run.log-every 1 --run.checkpoint-every 20 --run.timeout 5 --device cpu"
)
WORDS = shlex.split("the cat sat on a mat and then one dog ran after it because mats are for dogs")

Found = TypeVar("Found")


class Job:
    """A torchrun in the background; its output goes to a file."""

    def __init__(
        self,
        arguments: Sequence[str],
        output: Path,
        *,
        ranks: int = 1,
        launch: Sequence[str] = (),
        prefix: Sequence[str] = (),
        script: str = SCRIPT,
        **variables: str,
    ) -> None:
        """
        Args:
            arguments: of the training script.
            ranks: processes on this host.
            launch: of torchrun.
            prefix: what stands before the command, and becomes it (`ip netns exec NAME`).
            script: what torchrun starts.
            variables: of the environment.
        """
        command = [*prefix, sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={ranks}", *launch, script]
        self.output = output
        with output.open("a", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                [*command, *arguments],
                cwd=ROOT,
                env=dict(os.environ, OMP_NUM_THREADS="1", **variables),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def workers(self) -> list[int]:
        """The processes that this torchrun has started, by local rank."""
        return children(self.process.pid)

    def printed(self) -> str:
        """All it has said so far."""
        return self.output.read_text(encoding="utf-8")

    def wait_for(self, find: Callable[[], Found | None], seconds: float = 120.0) -> Found:
        """What `find` finds, looked for again and again; the job must live meanwhile."""
        deadline = time.monotonic() + seconds
        while True:
            ended = self.process.poll() is not None
            if (found := find()) is not None:
                return found
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"{'ended' if ended else 'not in time'}: {self.printed()[-6000:]}")
            time.sleep(0.01)

    def wait_for_words(self, pattern: str, seconds: float = 120.0) -> re.Match[str]:
        """The first match of a pattern in what it prints."""
        return self.wait_for(lambda: re.search(pattern, self.printed()), seconds)

    def finish(self, seconds: float = 240.0) -> str:
        """Wait for its end, which must be a good one; gives what it printed."""
        status = self.process.wait(timeout=seconds)
        assert status == 0, self.printed()[-6000:]
        return self.printed()

    def end(self) -> None:
        """Make sure that nothing of it stays: for `finally`."""
        if self.process.poll() is None:
            for worker in [*self.workers(), self.process.pid]:
                subprocess.run(["kill", "-9", str(worker)], check=False, stderr=subprocess.DEVNULL)
            self.process.wait()


def children(process: int) -> list[int]:
    """The processes that a process has started."""
    return [int(n) for n in Path(f"/proc/{process}/task/{process}/children").read_text(encoding="utf-8").split()]


def text_file(path: Path, n_words: int = 400) -> Path:
    """A text to learn, the same each time."""
    draw = random.Random(1)
    path.write_text(" ".join(draw.choice(WORDS) for _ in range(n_words)), encoding="utf-8")
    return path


def records(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of metrics.jsonl."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def last_step(folder: Path) -> int:
    """The last training step that was recorded; 0 if none."""
    return next((line["step"] for line in reversed(records(folder)) if line["kind"] == "train"), 0)


def losses(folder: Path) -> dict[int, float]:
    """The loss of each step, the last time it was made."""
    return {line["step"]: line["loss"] for line in records(folder) if line["kind"] == "train"}


def newest(folder: Path) -> Path:
    """The newest checkpoint of a run."""
    return max((folder / "checkpoints").glob("step-*"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of the newest checkpoint."""
    return dict(GPT.from_pretrained(newest(folder) / "model").state_dict())


def assert_same_run(one: Path, other: Path) -> None:
    """Every step's loss, and every final weight, to the last bit."""
    assert losses(one) == losses(other)
    left, right = weights(one), weights(other)
    assert left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def spread(seconds: Sequence[float]) -> str:
    """For a table: median and greatest."""
    return f"median {statistics.median(seconds):.2f} s, at most {max(seconds):.2f} s"


def publish(name: str, title: str, command: str, text: str) -> None:
    """Write what a proof has shown to benchmarks/results/NAME.md."""
    cores = os.cpu_count()
    machine = f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores {platform.machine()}, torch {torch.__version__}"
    busy = f"load average {os.getloadavg()[0]:.1f} when it ended (1 is one busy core: the times of a busy machine are too long)"
    page = f"# {title}\n\n    {command}\n\n{machine}; {busy}.\n\n{text.strip()}\n"
    (RESULTS / f"{name}.md").write_text(page, encoding="utf-8")
