"""Dropout and the average of the weights in a run: exact after a resume, and never in an evaluation."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.training.checkpoints import CheckpointStore
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run.command_line import parse
from gpt_from_scratch.training.run.trainer import Trainer
from tests.training.trained import train

Run = Callable[..., Path]
SHORT = ("--steps", "6", "--run.eval-every", "3", "--run.n-samples", "0", "--run.n-final-samples", "0")
BOTH = (*SHORT, "--model.dropout", "0.2", "--optimizer.ema-decay", "0.9")


def state(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = CheckpointStore(folder / "checkpoints").load()
    assert checkpoint is not None
    return {**checkpoint.model().state_dict(), **checkpoint.tensors}


def evals(folder: Path) -> list[float]:
    lines = map(json.loads, (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [line["loss"] for line in lines if line["kind"] == "eval"]


def test_a_stopped_run_goes_on_with_the_same_dropout_and_average(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = state(run("whole", *BOTH))
    step = Trainer.train_step
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", lambda self, n: (n == 4 and self.stop.handle(15, None)) or step(self, n))
        stopped = run("stopped", *BOTH)
    torch.rand(5)  # what else draws random numbers in this process changes nothing
    train(parse(["--resume", str(stopped)]), Ranks())
    resumed = state(stopped)
    assert whole.keys() == resumed.keys() and any(name.startswith("ema.") for name in whole)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_an_evaluation_drops_nothing_and_training_does(run: Run) -> None:
    plain, dropped = evals(run("plain", *SHORT)), evals(run("dropped", *BOTH))
    assert plain[0] == dropped[0]  # before the first step
    assert plain[1] != dropped[1]


def test_the_average_is_that_of_the_steps_and_every_command_can_take_it(run: Run) -> None:
    folder = run("run", *SHORT, "--steps", "3", "--run.checkpoint-every", "1", "--run.keep-last", "9", *BOTH[-2:])
    checkpoints = sorted((folder / "checkpoints").glob("step-*"))
    before: dict[str, torch.Tensor] = {}
    for step, checkpoint in enumerate(checkpoints):  # of the steps 1, 2 and 3
        averaged = open_model(checkpoint, ema=True)
        weights, average = open_model(checkpoint).model.state_dict(), averaged.model.state_dict()
        for name in before:
            assert torch.equal(average[name], torch.lerp(before[name], weights[name], 1 - (1 + step) / (10 + step)))
        before = average
    assert averaged.name == "run-step-00000003-ema"


def test_a_run_without_an_average_says_how_one_is_made(run: Run) -> None:
    folder = run("run", *SHORT, "--steps", "1")
    with pytest.raises(ValueError, match=r"no average of its weights; .*--optimizer\.ema-decay"):
        open_model(folder, ema=True)


def test_dropout_zeroes_embeddings_and_branches_in_training_only() -> None:
    tokens = torch.arange(8).unsqueeze(0)
    for place in ("before", "after"):
        config = GPTConfig(8, 11, 2, 2, 16, norm_place=place)
        model = GPT(config)
        whole = model(tokens)
        model.set_dropout(0.0)
        assert torch.equal(model(tokens), whole)
        model.set_dropout(0.5)
        assert model.config.dropout == 0.5
        seen: list[torch.Tensor] = []
        for module in (model, *model.h):
            module.drop.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out))
        assert not torch.equal(model(tokens), whole)
        assert len(seen) == 5 and all(0.3 < float((out == 0).float().mean()) < 0.7 for out in seen)
        assert torch.equal(model.eval()(tokens), whole)
