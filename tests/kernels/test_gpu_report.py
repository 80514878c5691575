"""The report for a GPU and the roofline page: their logic, on tiny shapes on the CPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpt_from_scratch.benchmarks import kernel_work, roofline
from gpt_from_scratch.benchmarks.gpu_markdown import markdown
from gpt_from_scratch.benchmarks.timing import interleaved

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
COMMAND = [sys.executable, "-m", "gpt_from_scratch.benchmarks.gpu_report"]


def test_the_report_is_whole(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*COMMAND, "--out", str(tmp_path), "--device", "cpu", "--minutes", "60"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    report = json.loads((tmp_path / "kernels_gpu.json").read_text())
    assert report["parity"]["passed"] > 20
    assert report["left out"] == []
    for row in report["times"]:
        assert 0 < row["forward"]["p20"] <= row["forward"]["median"] <= row["forward"]["p80"]
    assert {row["contender"] for row in report["times"]} == {"torch", "outside sdpa", "outside eager"}
    assert [row["backends"] for row in report["steps"]] == ["reference", "torch"]
    assert (tmp_path / "kernels_gpu.md").read_text() == markdown(report)
    report["times"][0] |= {"contender": "triton", "shape": "b=32 h=12 t=1024 d=64", "forward TFLOP/s": 301.0}
    report["left out"], report["parity"]["failures"] = ["times: later"], ["attention x: error | <b>"]
    page = markdown(report)
    assert "| 290 TFLOP/s | 301 TFLOP/s |" in page
    assert "| 468,000 tokens/s | not measured yet |" in page
    assert "- times: later" in page and "1 failed" in page


def test_without_time_everything_is_named_as_left_out(tmp_path: Path) -> None:
    command = [*COMMAND, "--out", str(tmp_path), "--device", "cpu", "--minutes", "0.001"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads((tmp_path / "kernels_gpu.json").read_text())
    assert report["times"] == [] and report["steps"] == [], result.stdout
    assert len(report["left out"]) == 1 + len(kernel_work.small()) + 2


def test_no_gpu_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [*COMMAND, "--out", str(tmp_path)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1 and "no CUDA device" in result.stderr


def test_the_committed_roofline_is_what_the_command_prints() -> None:
    measured = json.loads(roofline.MEASURED.read_text()) if roofline.MEASURED.exists() else None
    assert (RESULTS / "kernels_roofline.md").read_text(encoding="utf-8") == roofline.page(measured)


def test_the_roofline_counts_what_it_says() -> None:
    work = kernel_work.attention(2, 3, 8, 4)
    assert work.forward_flops == 2 * 2 * 3 * 8 * 8 * 4
    assert work.forward_bytes == 4 * (2 * 3 * 8 * 4) * 2
    assert roofline.floor(788e12, 1.0) == (1.0, "arithmetic")
    assert roofline.floor(0.0, 4.3e12) == (1.0, "memory")
    row = {"op": "attention", "shape": work.shape, "contender": "triton"}
    row |= {"forward": {"median": 2e-6}, "both": {"median": 5e-6}}
    measured = {"times": [row]}
    assert roofline.found(measured, work, "forward") == "2.0"
    assert roofline.found(measured, work, "backward") == "3.0"
    assert roofline.found(measured, kernel_work.layer_norm(4, 4), "forward") == "not measured yet"


def test_rounds_are_interleaved_and_at_least_five() -> None:
    calls: list[str] = []
    found = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 50, "cpu", seconds=0.0)
    assert calls == ["a", "b"] * 6  # one to warm up, then five rounds although no time was left
    assert found["a"]["p20"] <= found["a"]["median"] <= found["a"]["p80"]
