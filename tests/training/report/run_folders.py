"""Runs' folders as the trainer writes them, made by hand."""

import json
import re
from pathlib import Path
from typing import Any

CONFIG = {"seed": 1, "model": {"n_layer": 4, "n_embd": 128}, "data": {"source": "stories"}}


FACTS = {
    "name": "first",
    "created": "2026-11-25T17:00:00Z",
    "command": ["torchrun", "training/train_gpt2.py", "--seed", "1"],
    "device": "cpu",
    "dtype": "float32",
    "parameters": 1234567,
    "backends": [{"op": "attention", "backend": "torch", "reason": "fastest of 3"}],
    "versions": {"torch": "2.13.0"},
    "world_size": 1,
    "tokens_per_step": 4096,
    "floor_nats_per_token": 0.33,
    "seconds": 125.0,
    "state": "finished",
}


def train(step: int, loss: float | None = 1.0, lr: float = 0.01) -> dict[str, Any]:
    return {
        "kind": "train",
        "step": step,
        "loss": loss,
        "lr": lr,
        "grad_norm": 0.5,
        "tokens_per_s": 2e4,
        "mfu": None,
        "seconds": step / 7,
    }


def evaluation(step: int, loss: float = 0.5) -> dict[str, Any]:
    ratio = loss / 0.33
    return {
        "kind": "eval",
        "step": step,
        "loss": loss,
        "nats": 1e4 * loss,
        "floor_nats": 3300.0,
        "ratio": ratio,
        "bits_per_byte": 0.2,
        "seconds": 9,
    }


def sample(step: int, text: str, grammatical: bool | None = None, novel: bool | None = None) -> dict[str, Any]:
    return {"kind": "sample", "step": step, "text": text, "prompt": "", "grammatical": grammatical, "novel": novel}


def event(step: int, message: str) -> dict[str, Any]:
    return {"kind": "event", "step": step, "message": message}


def lines() -> list[dict[str, Any]]:
    steps = [train(step, 3 / step + 0.33) for step in range(1, 41)]
    later = [evaluation(20, 0.6), evaluation(40, 0.4), sample(20, "Tom Tom ran."), sample(40, "Tom ran.", True, True)]
    return [*steps, *later, sample(40, "Mia ran.", False, True), event(20, "resumed from step 20")]


def make_run(folder: Path, metrics: list[dict[str, Any]] | None = None, **changes: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | changes.pop("config", {})))
    (folder / "run.json").write_text(json.dumps(FACTS | {"name": folder.name} | changes))
    found = lines() if metrics is None else metrics
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in found))
    return folder


def text_of(page: Path) -> str:
    """What the page says, without its tags and its curves."""
    written = page.read_text(encoding="utf-8")
    return re.sub(r"<[^>]*>", " ", re.sub(r"<(style|svg)\b.*?</\1>", "", written, flags=re.DOTALL))
