"""The real script in processes of its own, under torchrun: signals, and two ranks against one."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from gpt_from_scratch.models.gpt import GPT

ROOT = Path(__file__).parents[3]
SCRIPT = "training/train_gpt2.py"
ENVIRONMENT = dict(os.environ, OMP_NUM_THREADS="1")


def torchrun(arguments: list[str], ranks: int = 1) -> "subprocess.Popen[str]":
    launch = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={ranks}", "--standalone", SCRIPT]
    return subprocess.Popen(
        launch + arguments, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finished(process: "subprocess.Popen[str]", seconds: float = 240) -> str:
    printed, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0, printed
    return printed


def losses(folder: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return {line["step"]: line["loss"] for line in lines if line["kind"] == "train"}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    newest = max((folder / "checkpoints").glob("step-*"))
    return dict(GPT.from_pretrained(newest / "model").state_dict())


def test_two_ranks_end_where_one_does(arguments: list[str], questions: Path, tmp_path: Path) -> None:
    arguments += ["--run.hellaswag", str(questions)]
    runs = [
        torchrun([*arguments, "--steps", "50", "--run.eval-every", "0", "--run.name", f"ranks-{ranks}"], ranks)
        for ranks in (1, 2)
    ]
    for run in runs:
        finished(run)
    one, two = (weights(tmp_path / "runs" / f"ranks-{ranks}") for ranks in (1, 2))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-5
    evals = [
        json.loads(line)["nats"]
        for ranks in (1, 2)
        for line in (tmp_path / "runs" / f"ranks-{ranks}" / "metrics.jsonl").read_text().splitlines()
        if '"eval"' in line
    ]
    assert evals[0] == pytest.approx(evals[1], rel=1e-6)
    answers = [
        {k: v for k, v in json.loads(line).items() if k != "seconds"}
        for ranks in (1, 2)
        for line in (tmp_path / "runs" / f"ranks-{ranks}" / "metrics.jsonl").read_text().splitlines()
        if '"hellaswag"' in line
    ]
    assert len(answers) == 2 and answers[0] == answers[1]


SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", [*SIGNALS, *[pytest.param(signal.SIGINT, marks=pytest.mark.torture)] * 10])
def test_a_signal_saves_and_the_run_goes_on_to_the_last_bit(
    arguments: list[str], tmp_path: Path, number: signal.Signals
) -> None:
    steps = ["--steps", "400", "--run.log-every", "1", "--run.eval-every", "150", "--run.checkpoint-every", "0"]
    whole = torchrun([*arguments, *steps, "--run.name", "whole"])
    stopped = torchrun([*arguments, *steps, "--run.name", "stopped"])
    metrics = tmp_path / "runs" / "stopped" / "metrics.jsonl"
    deadline = time.monotonic() + 200
    while not (metrics.exists() and '"step": 20,' in metrics.read_text(encoding="utf-8")):
        assert stopped.poll() is None and time.monotonic() < deadline, stopped.communicate()[0]
        time.sleep(0.02)
    worker = worker_of(stopped.pid)
    os.kill(worker, number)
    printed = finished(stopped)
    match = re.search(r"stopped after step (\d+) of 400", printed)
    assert match, printed
    assert max(losses(metrics.parent)) == int(match[1])  # no step lost
    assert f"--resume {metrics.parent}" in printed
    finished(torchrun(["--resume", str(metrics.parent)]))
    finished(whole)
    assert losses(metrics.parent) == losses(tmp_path / "runs" / "whole")
    one, other = weights(metrics.parent), weights(tmp_path / "runs" / "whole")
    assert all(torch.equal(one[name], other[name]) for name in one)


def worker_of(agent: int) -> int:
    """The process that torchrun started."""
    children = Path(f"/proc/{agent}/task/{agent}/children").read_text(encoding="utf-8").split()
    return int(children[0])


def test_a_mistake_ends_with_words_and_a_status(arguments: list[str]) -> None:
    process = torchrun([*arguments, "--backend", "tritno"])
    printed, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "error: " in printed and "did you mean 'triton'" in printed


def test_a_run_never_waits_for_dynamo(arguments: list[str]) -> None:
    """Importing it takes a second of every start, and a save would take that second from the steps beside it."""
    code = (
        "import sys\n"
        "from gpt_from_scratch.training import train_gpt2\n"
        "assert train_gpt2.main(sys.argv[1:]) in (0, None)\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, *arguments, "--optimizer.name", "muon"], env=ENVIRONMENT, check=True)
