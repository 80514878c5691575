"""The ways in which a test's run ends, and what it leaves: its lines, its weights, its words."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.training import train_gpt2
from gpt_from_scratch.training.run.trainer import Trainer

Run = Callable[..., Path]


def lines(folder: Path, kind: str) -> dict[int, dict[str, Any]]:
    """The last line of each step, without what depends on the clock."""
    found = {}
    for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        if fields["kind"] == kind:
            found[fields["step"]] = {k: v for k, v in fields.items() if k not in ("seconds", "tokens_per_s", "mfu")}
    return found


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert train_gpt2.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "Traceback" not in error
    return error


def weights(folder: Path) -> dict[str, torch.Tensor]:
    newest = max((folder / "checkpoints").glob("step-*"))
    return dict(GPT.from_pretrained(newest / "model").state_dict())


def same_run(one: Path, other: Path) -> None:
    for kind in ("train", "eval"):
        assert lines(one, kind) == lines(other, kind)
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Ask the run to stop once it has made so many steps, as a signal would."""
    original = Trainer.train_step

    def step(self: Trainer, number: int) -> bool:
        if number == steps:
            self.stop.handle(15, None)
        return original(self, number)

    monkeypatch.setattr(Trainer, "train_step", step)
