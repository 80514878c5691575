"""The README's picture of a run."""

import json
from pathlib import Path

import pytest

from gpt_from_scratch.training.report.picture import main


def test_a_run_becomes_a_png(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"name": "tiny", "floor_nats_per_token": 0.4}), encoding="utf-8")
    fields = {"lr": 0.1, "grad_norm": 1.0, "tokens_per_s": 10.0, "mfu": None, "seconds": 1.0}
    lines = [{"kind": "train", "step": step, "loss": 1 / step, **fields} for step in range(1, 9)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    main([str(run), "--out", str(tmp_path / "images")])
    assert (tmp_path / "images" / "training.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_a_loss_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match="has recorded no loss yet"):
        main([str(tmp_path), "--out", str(tmp_path)])
