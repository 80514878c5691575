"""Whole runs on 1, 2 and 4 ranks: what they learn, and that any of them goes on from any other's checkpoint.

A run in pieces goes 2 → 1 → 2 or 2 → 1 → 4 ranks. All are made once, in one torchrun, and so it is one test: pytest-xdist
would make them again in each of its workers.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.training.checkpoints import CheckpointStore
from tests.training.conftest import SENTENCES, SMALL

ROOT = Path(__file__).parents[3]
KINDS = ("ddp", "fsdp", "deterministic")
# 10 wide with 30, 10 and 40 rows: no multiple of 4 ranks. Muon, and AdamW for the rest.
SETTINGS = shlex.split(
    "--model.n-head 1 --model.n-embd 10 --model.n-layer 2 --steps 50 --run.log-every 1 --run.eval-every 25 "
    "--run.checkpoint-every 25 --run.sample-every 25 --optimizer.lr 0.01 --optimizer.embed-lr 0.01 --micro-batch 1 "
    "--model.dropout 0.1 --optimizer.ema-decay 0.9"
)


@dataclass
class Runs:
    """Folders of runs."""

    root: Path

    def new(self, ranks: int, name: str, kind: str, *more: str, **plan: int) -> dict[str, Any]:
        """A run of the plan."""
        return {"ranks": ranks, "arguments": [*SMALL, *SETTINGS, *self.place(name), "--parallel", kind, *more], **plan}

    def resumed(self, ranks: int, name: str, **plan: int) -> dict[str, Any]:
        """The same, going on."""
        return {"ranks": ranks, "arguments": ["--resume", str(self.root / name)], **plan}

    def place(self, name: str) -> list[str]:
        """What it reads, and where it writes."""
        text = self.root / "text.txt"
        text.write_text("".join(SENTENCES[i * i % 3] for i in range(60)), encoding="utf-8")
        return ["--data.path", str(text), "--run.folder", str(self.root), "--run.name", name]

    def carry_out(self, plan: list[dict[str, Any]]) -> None:
        """All of it."""
        file = self.root / "plan.json"
        file.write_text(json.dumps(plan), encoding="utf-8")
        process = torchrun(max(item["ranks"] for item in plan), "-m", "tests.training.parallel.ranks", str(file))
        printed, _ = process.communicate(timeout=280)
        assert process.returncode == 0, printed

    def state(self, name: str) -> dict[str, torch.Tensor]:
        """Weights and the optimizers' state in the newest checkpoint."""
        checkpoint = CheckpointStore(self.root / name / "checkpoints").load()
        assert checkpoint is not None
        return {**checkpoint.model().state_dict(), **checkpoint.tensors}

    def lines(self, name: str, kind: str) -> list[dict[str, Any]]:
        """What was recorded."""
        text = (self.root / name / "metrics.jsonl").read_text(encoding="utf-8")
        return [line for line in map(json.loads, text.splitlines()) if line["kind"] == kind]

    def losses(self, name: str) -> list[float]:
        """Of every step."""
        lines = self.lines(name, "train")
        assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
        return [line["loss"] for line in lines]

    def ids(self, name: str) -> list[list[int]]:
        """Of every step's samples."""
        return [json.loads(line) for line in (self.root / name / "ids.jsonl").read_text(encoding="utf-8").splitlines()]


def torchrun(ranks: int, *command: str) -> "subprocess.Popen[str]":
    launch = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={ranks}", "--standalone"]
    return subprocess.Popen(
        [*launch, *command],
        cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_runs_on_one_two_and_four_ranks(tmp_path: Path, subtests: pytest.Subtests) -> None:
    runs = made(tmp_path)
    for kind in KINDS:
        for path in ("2-1-2", "2-1-4"):
            with subtests.test(f"{kind} {path}"):
                a_run_goes_on_with_any_number_of_ranks(runs, kind, path)
    for check in (
        the_validation_loss_is_the_same_on_any_number_of_ranks,
        the_modes_learn_the_same,
        a_rank_may_have_a_row_more_than_another,
        a_bad_gradient_on_one_rank_is_skipped_by_all,
        fsdp_computes_in_bf16_and_keeps_fp32,
        a_sharded_run_opens_as_any_other,
    ):
        with subtests.test(check.__name__):
            check(runs)


def made(root: Path) -> Runs:
    """Every run that the checks look at."""
    runs = Runs(root)
    short = ("--steps", "12", "--run.checkpoint-every", "0", "--run.eval-every", "0", "--run.sample-every", "0")
    plan = [runs.new(1, "ddp on 1", "ddp"), runs.new(1, "deterministic on 1", "deterministic")]
    for kind in KINDS:
        for last in (2, 4):
            name = f"{kind} 2-1-{last}"
            plan += [runs.new(2, name, kind, stop_at=17), runs.resumed(1, name, stop_at=33), runs.resumed(last, name)]
    for ranks in (1, 2):
        plan += [
            runs.new(ranks, f"ragged on {ranks}", "ddp", *short, "--batch-size", "5"),
            runs.new(ranks, f"bad step on {ranks}", "fsdp", *short, bad_step=5),
            runs.new(ranks, f"bf16 on {ranks}", "fsdp", *short, "--dtype", "bf16"),
        ]
    runs.carry_out(plan)
    return runs


def a_run_goes_on_with_any_number_of_ranks(runs: Runs, kind: str, path: str) -> None:
    name = f"{kind} {path}"
    events = [line["message"] for line in runs.lines(name, "event")]
    assert [event for event in events if "resumed" in event] == ["resumed at step 17", "resumed at step 33"]
    assert [line["step"] for line in runs.lines(name, "sample")] == [25, 50, 50]
    assert runs.ids(name) == runs.ids("ddp on 1")
    found, expected = runs.state(name), runs.state("deterministic on 1" if kind == "deterministic" else "ddp on 1")
    assert found.keys() == expected.keys()
    losses, whole = runs.losses(name), runs.losses("deterministic on 1" if kind == "deterministic" else "ddp on 1")
    assert len(losses) == len(whole) == 50
    if kind == "deterministic":
        assert all(torch.equal(found[key], expected[key]) for key in expected)
        assert losses == whole
    else:
        assert losses == pytest.approx(whole, rel=1e-5)


def the_validation_loss_is_the_same_on_any_number_of_ranks(runs: Runs) -> None:
    for kind in KINDS:
        one = [line["nats"] for line in runs.lines("deterministic on 1" if kind == KINDS[2] else "ddp on 1", "eval")]
        for path in ("2-1-2", "2-1-4"):  # evaluated before step 17 on two ranks, at 25 on one, at 50 on two or four
            several = [line["nats"] for line in runs.lines(f"{kind} {path}", "eval")]
            assert several == (one if kind == "deterministic" else pytest.approx(one, rel=1e-6))


def the_modes_learn_the_same(runs: Runs) -> None:
    assert runs.losses("deterministic on 1") == pytest.approx(runs.losses("ddp on 1"), rel=1e-5)
    assert runs.losses("ddp on 1")[-1] < 0.7 * runs.losses("ddp on 1")[0]


def a_rank_may_have_a_row_more_than_another(runs: Runs) -> None:
    assert runs.ids("ragged on 2") == runs.ids("ragged on 1")
    assert runs.losses("ragged on 2") == pytest.approx(runs.losses("ragged on 1"), rel=1e-5)


def a_bad_gradient_on_one_rank_is_skipped_by_all(runs: Runs) -> None:
    sharded, whole = runs.state("bad step on 2"), runs.state("bad step on 1")
    assert "step 6 skipped" in runs.lines("bad step on 2", "event")[0]["message"]
    assert sharded.keys() == whole.keys()
    for key, tensor in whole.items():
        torch.testing.assert_close(sharded[key], tensor, rtol=1e-4, atol=1e-5)


def fsdp_computes_in_bf16_and_keeps_fp32(runs: Runs) -> None:
    assert {tensor.dtype for key, tensor in runs.state("bf16 on 2").items() if key != "rng.cpu"} == {torch.float32}
    both = runs.losses("bf16 on 2"), runs.losses("bf16 on 1")
    assert both[0] == pytest.approx(both[1], rel=1e-2)
    assert both[0] != both[1]


def a_sharded_run_opens_as_any_other(runs: Runs) -> None:
    newest = max((runs.root / "fsdp 2-1-4" / "checkpoints").glob("step-*"))
    assert len(list((newest / "model").glob("*.safetensors"))) == 4
    assert GPT.from_pretrained(newest / "model").config.n_embd == 10


@pytest.mark.torture
def test_compiled_runs_learn_the_same(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    steps = ("--steps", "6", "--run.sample-every", "3", "--run.eval-every", "3")
    compiled = [(kind, ranks) for kind in KINDS for ranks in (1, 2)]
    plan = [runs.new(1, "eager", "ddp", *steps)]
    runs.carry_out(plan + [runs.new(n, f"{kind} on {n}", kind, *steps, "--compile") for kind, n in compiled])
    for kind, n in compiled:
        assert runs.losses(f"{kind} on {n}") == pytest.approx(runs.losses("eager"), rel=1e-5)
    assert runs.losses("deterministic on 1") == runs.losses("deterministic on 2")
    one, two = runs.state("deterministic on 1"), runs.state("deterministic on 2")
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.torture
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_torchrun_saves_a_sharded_run_which_goes_on_alone(tmp_path: Path, number: signal.Signals) -> None:
    runs = Runs(tmp_path)
    script = "training/train_gpt2.py"
    arguments = [*SMALL, *SETTINGS, *runs.place("stopped"), "--parallel", "fsdp", "--steps", "2000"]
    process = torchrun(2, script, *arguments, "--run.checkpoint-every", "0")
    metrics = tmp_path / "stopped" / "metrics.jsonl"
    deadline = time.monotonic() + 200
    while not (metrics.exists() and '"step": 20,' in metrics.read_text(encoding="utf-8")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.02)
    process.send_signal(number)
    printed, _ = process.communicate(timeout=200)
    stopped = len(runs.losses("stopped"))
    assert f"stopped after step {stopped} of 2000" in printed, printed
    more = torchrun(1, script, "--resume", str(tmp_path / "stopped"), "--device", "cpu")
    while len(runs.losses("stopped")) < stopped + 20:
        assert more.poll() is None and time.monotonic() < deadline, more.communicate()[0]
        time.sleep(0.02)
    more.send_signal(number)
    more.communicate(timeout=200)
    assert f"resumed at step {stopped}" in [line["message"] for line in runs.lines("stopped", "event")]
