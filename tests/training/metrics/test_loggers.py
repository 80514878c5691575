"""TensorBoard for real; the calls that W&B and trackio get; a logger that fails, is missing, or does not exist."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gpt_from_scratch.training import train_gpt2
from gpt_from_scratch.training.metrics import loggers
from gpt_from_scratch.training.metrics.loggers import Loggers, names_in
from gpt_from_scratch.training.metrics.record import Record, values
from gpt_from_scratch.training.metrics.records.eval import Eval
from gpt_from_scratch.training.metrics.records.train import Train
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.report.run_data import read_run
from gpt_from_scratch.training.run.command_line import parse
from gpt_from_scratch.training.run.trainer import Trainer
from tests.training.trained import train

Run = Callable[..., Path]
FAKE = """
calls = []
class Run:
    def log(self, values, step): calls.append(("log", dict(values), step))
    def finish(self): calls.append(("finish",))
def init(**options):
    calls.append(("init", options))
    return Run()
def log(values, step): calls.append(("log", dict(values), step))
def finish(): calls.append(("finish",))
"""


def figures(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def recorded(folder: Path, kind: str, field: str) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(line["step"], pytest.approx(line[field])) for line in lines if line["kind"] == kind]


def test_tensorboard_shows_what_metrics_jsonl_has(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        original = Trainer.train_step

        def step(self: Trainer, number: int) -> bool:
            if number == 7:
                self.stop.handle(15, None)
            return original(self, number)

        patch.setattr(Trainer, "train_step", step)
        folder = run("tb", "--run.loggers", "tensorboard")
    train(parse(["--resume", str(folder)]), Ranks())
    found = figures(folder)
    assert found["train/loss"] == recorded(folder, "train", "loss")
    assert [step for step, _ in found["train/loss"]] == list(range(1, 13))
    assert found["eval/bits_per_byte"] == recorded(folder, "eval", "bits_per_byte")
    assert "train/mfu" not in found  # None on a CPU


def killed_at(monkeypatch: pytest.MonkeyPatch, run: Run, step: int, *options: str) -> None:
    """Train until so many steps are done, and lose the process there."""
    original = Trainer.train_step

    def train_step(self: Trainer, number: int) -> bool:
        if number == step:
            raise KeyboardInterrupt
        return original(self, number)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", train_step)
        with pytest.raises(KeyboardInterrupt):
            run("again", *options)


KINDS: tuple[tuple[str, type[Record]], ...] = (("train/loss", Train), ("eval/loss", Eval))
EVERY_STEP = ["--run.log-every", "1", "--run.eval-every", "1"]


@pytest.mark.parametrize(("stop", "begins"), [(3, 0), (7, 4)])
def test_tensorboard_and_the_report_see_one_history(
    run: Run, monkeypatch: pytest.MonkeyPatch, stop: int, begins: int
) -> None:
    """Killed before the first checkpoint (every 4 steps) or after it, and begun again where that stands."""
    options = ["--run.loggers", "tensorboard", *EVERY_STEP]
    killed_at(monkeypatch, run, stop, *options)
    folder = run("again", *options, "--resume", "auto")
    assert f"resumed at step {begins}" in (folder / "metrics.jsonl").read_text() or begins == 0
    found, seen = figures(folder), read_run(folder)
    for tag, kind in KINDS:
        assert found[tag] == [(record.step, pytest.approx(values(record)["loss"])) for record in seen.of(kind)]
    assert [step for step, _ in found["train/loss"]] == list(range(1, 13))
    assert [step for step, _ in found["eval/loss"]] == list(range(13))


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_service_that_takes_nothing_back_gets_a_run_of_its_own(
    name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / f"{name}.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path / "fake")
    killed_at(monkeypatch, run, 7, "--run.loggers", name, *EVERY_STEP)
    sys.modules.pop(name)
    folder = run("again", "--run.loggers", name, *EVERY_STEP, "--resume", "auto")
    (_, options), *calls, _ = sys.modules.pop(name).calls
    assert options["name"] == "again-2"
    for tag, kind in KINDS:
        told = [(step, told_then[tag]) for _, told_then, step in calls if tag in told_then]
        assert told == [(record.step, values(record)["loss"]) for record in read_run(folder).of(kind)]


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_what_a_service_is_told(name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / f"{name}.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path / "fake")
    monkeypatch.setenv(f"{name.upper()}_PROJECT", "mine")
    folder = run("told", "--run.loggers", name)
    (_, options), *calls, last = sys.modules.pop(name).calls
    assert (options["project"], options["name"], options["resume"]) == ("mine", "told", "allow")
    assert options["config"]["model.n_layer"] == 1
    assert last == ("finish",)
    losses = [(step, values["train/loss"]) for _, values, step in calls if "train/loss" in values]
    assert losses == recorded(folder, "train", "loss")


def test_a_logger_that_fails_is_left_out_once_and_the_run_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    class Unreachable:
        def __init__(self, *arguments: Any) -> None:
            self.logged = 0

        def log(self, step: int, values: object) -> None:
            self.logged += 1
            if self.logged > 2:
                raise ConnectionError("no network")

        def close(self) -> None:
            said.append("closed")

    monkeypatch.setitem(loggers.LOGGERS, "wandb", Unreachable)
    made = Loggers("wandb", Path("nowhere"), {}, 0, warn=said.append)
    for step in range(6):
        made.record(Train(step, loss=math.inf, lr=0.1, grad_norm=None, tokens_per_s=1.0, mfu=None))
    made.close()
    assert said == [
        "wandb failed and is disabled from now on (ConnectionError: no network); metrics.jsonl has everything"
    ]

    def refuse(*arguments: Any) -> loggers.Logger:
        raise OSError("disk full")

    monkeypatch.setitem(loggers.LOGGERS, "tensorboard", refuse)
    assert len(recorded(run("alone", "--run.loggers", "tensorboard"), "train", "loss")) == 12


def test_a_logger_that_is_not_there(arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert names_in("wandb, tensorboard,wandb") == ["wandb", "tensorboard"]
    with pytest.raises(SystemExit):
        train_gpt2.main([*arguments, "--run.loggers", "tensorbord"])
    printed = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "there is no logger 'tensorbord'" in printed and "Did you mean 'tensorboard'?" in printed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loggers.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(RuntimeError, match=r"needs the package 'trackio': \S+ -m pip install -e '.*\[trackio\]'"):
            loggers.require_packages("trackio")
