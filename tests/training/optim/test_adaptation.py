"""Runs that learn a low-rank adaptation: exact after a resume, small, and bound to the weights that they adapt."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gpt_from_scratch.models.checkpoints.opening import open_model
from gpt_from_scratch.training.checkpoints import CheckpointStore
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run.command_line import parse
from gpt_from_scratch.training.run.trainer import Trainer
from tests.training.conftest import SMALL
from tests.training.trained import train

Run = Callable[..., Path]
SHORT = (
    "--run.eval-every",
    "0",
    "--run.sample-every",
    "0",
    "--run.n-final-samples",
    "0",
    "--run.checkpoint-every",
    "2",
)
LORA = ("--lora.rank", "2", "--lora.targets", "attn.c_attn", "mlp.c_proj")


@pytest.fixture
def base(run: Run) -> Path:
    return run("base", *SHORT, "--steps", "2")


def test_an_adaptation_goes_on_to_the_last_bit_and_is_all_that_changes(
    run: Run, base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    adapted = (*SHORT, "--steps", "4", "--init-from", str(base), *LORA)
    whole = run("whole", *adapted)
    assert "% ), beside 2 layers, are trained".replace(" )", ")") in capsys.readouterr().out
    step = Trainer.train_step
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", lambda self, n: (n == 3 and self.stop.handle(15, None)) or step(self, n))
        stopped = run("stopped", *adapted)
    train(parse(["--resume", str(stopped)]), Ranks())
    one, two = (CheckpointStore(folder / "checkpoints").load() for folder in (whole, stopped))
    assert one is not None and two is not None
    assert one.tensors.keys() == two.tensors.keys()
    assert [name for name in one.tensors if not torch.equal(one.tensors[name], two.tensors[name])] == []
    learned = {name.removeprefix("optimizer.exp_avg.") for name in one.tensors if name.startswith("optimizer.exp_avg.")}
    assert learned == {f"h.0.{layer}.lora_{letter}" for layer in LORA[3:] for letter in "AB"}
    # Its model/ is the base with the adapter added, as the adapter by itself says it.
    shutil.copytree(one.folder / "adapter", whole / "elsewhere")
    merged, alone = open_model(whole).model.state_dict(), open_model(whole / "elsewhere").model.state_dict()
    assert all(torch.equal(merged[name], alone[name]) for name in merged)
    before = open_model(base).model.state_dict()
    changed = {name for name in merged if not torch.equal(merged[name], before[name])}
    assert changed == {f"h.0.{layer}.weight" for layer in LORA[3:]}
    assert open_model(one.folder / "adapter").folder == one.folder / "model"
    with pytest.raises(ValueError, match="has not the weights any more"):
        train(parse(["--resume", str(stopped), "--init-from", str(whole)]), Ranks())


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ((), "say --init-from"),
        (("--init-from", ".", "--parallel", "fsdp"), "--parallel ddp"),
        (("--init-from", ".", "--optimizer.ema-decay", "0.9"), "do not go together"),
        (("--init-from", ".", "--lora.alpha", "0"), "lora.alpha must be above 0"),
    ],
)
def test_what_does_not_go_with_lora_is_said(
    more: tuple[str, ...], told: str, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(base) if word == "." else word for word in more]
    with pytest.raises((ValueError, SystemExit)) as failure:
        parse([*SMALL, *LORA, *words])
    assert told in " ".join((str(failure.value) + capsys.readouterr().err).replace("│", " ").split())


def test_a_dry_run_counts_what_is_trained(base: Path, text_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*SMALL, "--data.path", str(text_file), "--init-from", str(base), "--lora.rank", "2", "--dry-run"]
    train(parse(command), Ranks())
    lora = capsys.readouterr().out
    assert "gradients 2.05 kB" in lora, lora
    assert json.loads((base / "config.json").read_text())["lora"]["rank"] == 0
