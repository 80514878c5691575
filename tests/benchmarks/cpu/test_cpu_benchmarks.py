"""The measurements on a CPU: that contenders compute the same, that programs run at sizes of no use, and their tables."""

import importlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from gpt_from_scratch.benchmarks import tables
from gpt_from_scratch.benchmarks.common import machine, workers
from gpt_from_scratch.benchmarks.common.timing import summary
from gpt_from_scratch.benchmarks.cpu import cpu_steps, generation_speed, start_up
from gpt_from_scratch.benchmarks.cpu import tables as cpu_tables
from gpt_from_scratch.benchmarks.cpu.plain_modern import zeropower
from gpt_from_scratch.benchmarks.cpu.step_contenders import CONTENDERS
from gpt_from_scratch.benchmarks.learning import best_loss, scaling
from gpt_from_scratch.kernels.choices import use_backend
from gpt_from_scratch.training.metrics.records.eval import Eval
from gpt_from_scratch.training.metrics.records.train import Train
from gpt_from_scratch.training.run.console import Display

EAGER = {preset: [n for n, c in made.items() if not c.compiles] for preset, made in CONTENDERS.items()}


@pytest.fixture(autouse=True)
def _choice_ends_with_the_test() -> Iterator[None]:
    """A contender sets its backend for the rest of its process."""
    with use_backend({}):
        yield


class Here(workers.Worker):
    """The object in this process, where the tests' shape checks are."""

    def __init__(
        self, name: str, target: str, arguments: Mapping[str, Any], environment: Mapping[str, str] | None = None
    ) -> None:
        module, _, kind = target.partition(":")
        self.name, self.held = name, getattr(importlib.import_module(module), kind)(**arguments)
        self.process: Any = SimpleNamespace(pid=os.getpid())

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, method: str, **arguments: Any) -> None:
        self.result = json.loads(json.dumps(getattr(self.held, method)(**arguments)))

    def receive(self) -> Any:
        return self.result


def test_a_worker_answers_and_says_how_it_ended(capfd: pytest.CaptureFixture[str]) -> None:
    with workers.Worker("day", "datetime:date", {"year": 2026, "month": 1, "day": 2}) as worker:
        assert worker.ask("isoformat") == "2026-01-02"
        peak = worker.peak_bytes()
        assert peak is None or peak > 1e6
        worker.forget_peak()
        with pytest.raises(RuntimeError, match="day ended with status 1"):
            worker.ask("nothing_of_that_name")
    assert "nothing_of_that_name" in capfd.readouterr().err


@pytest.mark.parametrize("preset", ["gpt2-124m", "tiny"])
def test_steps_of_all_contenders_begin_with_one_loss(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_steps, "Worker", Here)
    arguments = ["--smoke", "--rounds", "2", "--batch", "2", "--model", preset, "--out", str(tmp_path)]
    cpu_steps.main([*arguments, "--contenders", *EAGER[preset]])
    report = json.loads((tmp_path / cpu_steps.FILE).read_text())
    found = report["models"][preset]["2"]
    assert {*found["contenders"], *found["left out"]} == {*EAGER[preset]}
    for row in found["contenders"].values():
        assert row["seconds"]["median"] > 0 and row["part of products"]["median"] > 0
    profile = found["profile of ours, s"]
    assert profile["products"] > 0 and (profile["products of Muon"] > 0) == (preset == "tiny")
    text = "\n".join(cpu_tables.cpu_steps(tmp_path))
    assert f"- {preset}, 2 × 16: " in text
    assert f"| {preset}, 2 × 16 | plain PyTorch | " in text
    if importlib.util.find_spec("litgpt") is None and preset == "gpt2-124m":
        assert "| litgpt | litgpt is not installed |" in text


def test_a_contender_that_is_killed_takes_no_other_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Dies(Here):
        def receive(self) -> Any:
            asked.append(self.name)
            if self.name == "plain PyTorch" and asked.count(self.name) == 3:  # the first step and one round went well
                raise RuntimeError("plain PyTorch ended with status -9")
            return super().receive()

    monkeypatch.setattr(cpu_steps, "Worker", Dies)
    two = ["--contenders", "ours", "plain PyTorch"]
    cpu_steps.main(["--smoke", "--rounds", "3", *two, "--batch", "1", "--out", str(tmp_path)])
    found = json.loads((tmp_path / cpu_steps.FILE).read_text())["models"]["gpt2-124m"]["1"]
    assert [*found["contenders"]] == ["ours"]
    assert found["left out"] == {"plain PyTorch": "plain PyTorch ended with status -9"}
    assert found["contenders"]["ours"]["seconds"]["median"] > 0


def test_one_round_is_its_own_summary() -> None:
    assert summary([2.0]) == {"median": 2.0, "p20": 2.0, "p80": 2.0}


def test_losses_that_differ_are_told() -> None:
    with pytest.raises(ValueError, match="losses at equal weights differ"):
        cpu_steps.check_agreement({"a": 1.0, "b": 1.001})


def test_the_plain_muon_is_about_orthogonal() -> None:
    for shape in ((6, 18), (18, 6)):
        values = torch.linalg.svdvals(zeropower(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
        assert values.min() > 0.5 and values.max() < 1.3


def test_generation_is_compared_token_by_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation_speed, "Worker", Here)
    generation_speed.main(["--smoke", "--rounds", "2", "--batch", "1", "3", "--out", str(tmp_path)])
    report = json.loads((tmp_path / generation_speed.FILE).read_text())
    assert report["batches"]["3"]["contenders"]["ours"]["tokens that agree"] == 8
    assert "| 3 | transformers | " in "\n".join(cpu_tables.generation_speed(tmp_path))
    with pytest.raises(ValueError, match="within the first 3: {'ours': 2} agree"):
        generation_speed.check_agreement({"ours": [[1, 2, 3]], "transformers": [[1, 2, 4]]})


def test_scaling_is_measured_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "Worker", Here)
    picture = tmp_path / "picture.png"
    scaling.main(["--smoke", "--rounds", "2", "--out", str(tmp_path), "--image", str(picture)])
    assert picture.read_bytes().startswith(b"\x89PNG")
    lines = cpu_tables.scaling(tmp_path)
    assert sum(line.startswith("| 0.0 M | 2 × 8 | ") for line in lines) == 3
    picture.unlink()
    scaling.main(["--draw", str(tmp_path / scaling.FILE), "--image", str(picture)])
    assert picture.exists()


def test_two_processes_train_together() -> None:
    with ExitStack() as stack:
        pair = scaling.Setting(stack, 2, 1)
        assert pair.step(scaling.point(1, 32, 8, 97), 2) > 0
        assert pair.rate(0.001) > 0


def test_a_run_says_when_it_has_taken_its_first_step() -> None:
    text = io.StringIO()
    display = Display(560, console=Console(file=text, width=200))
    display.record(Eval(0, loss=7.0, bits_per_byte=None, ratio=None, nats=7.0, floor_nats=None))
    display.progress(Train(1, loss=7.0, lr=0.1, grad_norm=1.0, tokens_per_s=1000.0, mfu=None))
    script = f"print('run x'); print('data: stories ...'); print('device cpu'); print({text.getvalue()!r}, flush=True)"
    waits = f"{script}; import time; time.sleep(60)"
    found = start_up.seconds_to(["-c", waits], start_up.MOMENTS)
    assert list(found) == list(start_up.MOMENTS)
    with pytest.raises(RuntimeError, match="ended before it never:\nrun x"):
        start_up.seconds_to(["-c", script], {"never": "^never"})


def test_start_up_of_a_small_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = "--model.n-layer 1 --model.n-head 2 --model.n-embd 16 --model.block-size 1024 --data.tokenizer character"
    data = "--batch-size 2 --data.n-stories 50 --data.n-validation 2"
    real = start_up.seconds_to(*start_up.commands(tmp_path, [*small.split(), *data.split()])["python"])
    assert list(real) == list(start_up.MOMENTS)
    assert sorted(real.values()) == list(real.values())
    monkeypatch.setattr(start_up, "seconds_to", lambda command, moments: dict.fromkeys(moments, float(len(moments))))
    start_up.main(["--rounds", "2", "--out", str(tmp_path), "--", "--steps", "3"])
    (row,) = (line for line in cpu_tables.start_up(tmp_path) if line.startswith("| torchrun | "))
    assert "| 4.00 (4.00–4.00) | 1.00 (1.00–1.00) | 3.00 (3.00–3.00) | prints its first line at 4.0, " in row
    assert "tiny --steps 3` has" in cpu_tables.start_up(tmp_path)[0]


def test_the_lowest_loss_within_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat. a dog ran after the cat. " * 40, encoding="utf-8")
    small = "--model.n-layer 1 --model.n-head 2 --model.n-embd 16 --model.block-size 16 --batch-size 2"
    quick = ["--steps", "4", "--run.eval-every", "2", "--run.checkpoint-every", "0", "--run.n-final-samples", "0"]
    best_loss.main([str(text), "--seeds", "3", "--out", str(tmp_path), "--settings", *small.split(), *quick])
    report = json.loads((tmp_path / best_loss.FILE).read_text())
    found = report["seeds"]["3"]
    assert [at["step"] for at in found] == [2, 4] and found[0]["loss"] > found[1]["loss"] > 0
    assert f"seed 3: {found[1]['loss']:.4f} within 15 minutes" in capsys.readouterr().out
    found[1]["seconds"] = 901  # too late
    (tmp_path / best_loss.FILE).write_text(json.dumps(report))
    assert cpu_tables.best_loss(tmp_path)[-1].startswith(f"| 3 | {found[0]['loss']:.4f} | 2 |")


@pytest.mark.parametrize("name", ["cpu-steps", "generation-speed", "start-up", "scaling", "best-loss"])
def test_what_was_not_measured_says_so(name: str, tmp_path: Path) -> None:
    assert tables.TABLES[name](tmp_path) == ["not measured yet"]


def test_results_are_gone_on_with_and_never_thrown_away(tmp_path: Path) -> None:
    path, about = tmp_path / "x.json", machine.environment("numpy")
    assert machine.continued(path, about) == machine.continued(None, about) == about
    machine.write(path, {**about, "models": {"tiny": 1}})
    assert machine.continued(path, about) == {**about, "models": {"tiny": 1}}
    without = {**about, "versions": {}}
    assert machine.continued(path, without) == {**about, "models": {"tiny": 1}}, "a package may be missing this time"
    more = {**about, "versions": {**about["versions"], "litgpt": "1"}}
    assert machine.continued(path, more)["versions"] == more["versions"]
    for other in ({**about, "torch": "1.0"}, {**about, "versions": {"numpy": "1.0"}}):
        with pytest.raises(ValueError, match=r"x\.json was measured under other conditions: .*1\.0.*another --out"):
            machine.continued(path, other)
