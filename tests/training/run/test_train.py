"""A run in this process, from its folder to its last step: exact resume, bad steps, and every mistake a user can make."""

import dataclasses
import json
import math
import random
from collections.abc import Container
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.training.data.validation_set import ValidationScore
from gpt_from_scratch.training.parallel.single import Strategy
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run import trainer as loop
from gpt_from_scratch.training.run.command_line import parse
from gpt_from_scratch.training.run.trainer import Trainer
from tests.training.outcomes import Run, fails, lines, same_run, stop_after, weights
from tests.training.trained import train


def test_a_first_evaluation_that_is_not_a_number_can_be_bettered(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    original, losses = loop.evaluate, iter([math.nan, math.inf, 2.0, math.nan])

    def evaluate(*arguments: Any, **options: Any) -> ValidationScore:
        score = original(*arguments, **options)
        return dataclasses.replace(score, nats=next(losses) * score.n_targets)

    monkeypatch.setattr(loop, "evaluate", evaluate)
    folder = run("nan")
    assert [fields["loss"] for fields in lines(folder, "eval").values()] == [None, None, 2.0, None]
    assert json.loads((folder / "checkpoints" / "best.json").read_text()) == {"step": 8, "loss": 2.0}


@pytest.mark.parametrize(("optimizer", "of", "rate"), [("muon", "Muon", 0.02), ("adamw", "AdamW", 0.05)])
def test_the_logged_rate_is_of_the_optimizer_that_moves_most(run: Run, optimizer: str, of: str, rate: float) -> None:
    shape = ["--optimizer.embed-lr", "0.2", "--schedule.warmup-steps", "0", "--schedule.decay-fraction", "0"]
    folder = run(optimizer, "--steps", "2", "--optimizer.name", optimizer, *shape)
    assert [(fields["lr_of"], fields["lr"]) for fields in lines(folder, "train").values()] == [(of, rate)] * 2


@pytest.mark.report
def test_a_run_leaves_a_whole_folder_and_learns(run: Run) -> None:
    folder = run("whole", "--steps", "60", "--optimizer.lr", "0.01")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert config["model"]["n_layer"] == 1
    assert about["state"] == "finished"
    assert {b["op"]: b["backend"] for b in about["backends"]}["attention"] == "reference"
    steps = lines(folder, "train")
    assert sorted(steps) == list(range(1, 61))
    evals = lines(folder, "eval")
    assert evals[0]["loss"] > 2.5
    assert evals[60]["loss"] < 1.8
    assert (folder / "report.html").is_file()
    assert [path.name for path in sorted((folder / "checkpoints").glob("step-*"))][-1] == "step-00000060"


def test_the_settings_of_a_run_replay_it(run: Run, tmp_path: Path) -> None:
    first = run("first")
    train(parse(["--config", str(first / "config.json"), "--run.name", "again"]), Ranks())
    same_run(first, tmp_path / "runs" / "again")


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(s, marks=pytest.mark.torture) for s in range(3, 23))])
def test_a_stopped_run_goes_on_to_the_last_bit(run: Run, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    whole = run("whole")
    with monkeypatch.context() as patch:
        stop_after(patch, random.Random(seed).randrange(12))
        stopped = run("stopped")
    assert json.loads((stopped / "run.json").read_text(encoding="utf-8"))["state"] == "interrupted"
    train(parse(["--resume", str(stopped)]), Ranks())
    same_run(whole, stopped)


def test_micro_batches_add_up_to_the_same_step(run: Run) -> None:
    whole, parts = weights(run("whole")), weights(run("parts", "--micro-batch", "1"))
    assert max(float((whole[name] - parts[name]).abs().max()) for name in whole) < 1e-5


def test_a_run_begins_from_the_weights_of_another(run: Run) -> None:
    first = run("first")
    tokenizer = str(max((first / "checkpoints").glob("step-*")) / "model")
    for name, more in (("given", ["--data.tokenizer", tokenizer]), ("of the weights", [])):
        second = run(name, "--init-from", str(first), *more)
        assert lines(second, "eval")[0]["loss"] == pytest.approx(lines(first, "eval")[12]["loss"], rel=1e-6)


def test_weights_begin_with_their_own_tokenizer_whatever_the_data_would_make(
    run: Run, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another one with as many ids would give every id another meaning, without a word."""
    first = run("first")
    shifted = str.maketrans("abcdefghijklmnopqrstuvwxyz", "bcdefghijklmnopqrstuvwxyza")
    other = tmp_path / "other.txt"
    other.write_text((tmp_path / "text.txt").read_text(encoding="utf-8").translate(shifted), encoding="utf-8")
    text = (tmp_path / "text.txt").read_text(encoding="utf-8")
    (tmp_path / "fewer.txt").write_text(text.replace("cat", "mat"), encoding="utf-8")
    place = arguments.index("--data.tokenizer")
    unsaid = [*arguments[:place], *arguments[place + 2 :], "--data.path", str(tmp_path / "fewer.txt")]
    train(parse([*unsaid, "--init-from", str(first), "--run.name", "second"]), Ranks())
    second = tmp_path / "runs" / "second"
    ours, theirs = (max((path / "checkpoints").glob("step-*")) / "model" for path in (first, second))
    assert load_tokenizer(ours).fingerprint == load_tokenizer(theirs).fingerprint
    config = json.loads((second / "config.json").read_text(encoding="utf-8"))
    assert config["data"]["tokenizer"] == "weights"
    train(parse(["--resume", str(second)]), Ranks())
    told = fails(
        [*arguments, "--init-from", str(first), "--data.path", str(other), "--data.tokenizer", "character"], capsys
    )
    assert "is not the one that the model" in told and "trained with" in told


def spoil(patch: pytest.MonkeyPatch, steps: Container[int], value: float) -> None:
    """The gradients of these steps hold `value`."""
    take_step, clip, at = Trainer.train_step, Strategy.clip, [0]

    def stepping(self: Trainer, step: int) -> bool:
        at[0] = step
        return take_step(self, step)

    def clipping(self: Strategy, limit: float) -> torch.Tensor:
        if at[0] in steps:
            next(iter(self.model.parameters())).grad.fill_(value)  # type: ignore[union-attr]
        return clip(self, limit)

    patch.setattr(Trainer, "train_step", stepping)
    patch.setattr(Strategy, "clip", clipping)


def test_a_bad_step_is_skipped_and_too_many_end_the_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        spoil(patch, {5, 7}, math.nan)
        folder = run("two-bad")
    assert sorted(set(range(1, 13)) - set(lines(folder, "train"))) == [6, 8]
    events = lines(folder, "event")
    assert "step 6 skipped" in events[6]["message"] and "sample" in events[6]["message"]
    assert all(torch.isfinite(value).all() for value in weights(folder).values())

    spoil(monkeypatch, range(4, 9), math.nan)
    with pytest.raises(loop.TooManySkippedStepsError, match="4 of the last 100 steps"):
        run("all-bad")


def test_a_run_that_skipped_a_step_resumes_exactly(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, {5}, math.inf)
    whole = run("whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 7)
        stopped = run("stopped")
    train(parse(["--resume", str(stopped)]), Ranks())
    same_run(whole, stopped)


def test_a_choice_by_measurement_is_kept_on_resume(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpt_from_scratch.kernels.fastest import Timing
    from gpt_from_scratch.training.run import backends

    def timings(*args: object) -> list[Timing]:
        quick = {"attention": "torch"}
        return [
            Timing(op, name, 1.0 if name == quick.get(op, "reference") else 2.0)
            for op in ("attention", "layer_norm", "add_layer_norm", "linear_cross_entropy")
            for name in ("reference", "torch")
        ]

    monkeypatch.setattr(backends, "_time_all", timings)
    whole = run("whole", "--backend", "fastest")
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        stopped = run("stopped", "--backend", "fastest")
    monkeypatch.setattr(backends, "_time_all", lambda *args: pytest.fail("measured again"))
    train(parse(["--resume", str(stopped)]), Ranks())
    same_run(whole, stopped)
    chosen = json.loads((stopped / "run.json").read_text(encoding="utf-8"))["backends"]
    assert {b["op"]: (b["backend"], b["reason"]) for b in chosen}["attention"] == ("torch", "as in the checkpoint")
