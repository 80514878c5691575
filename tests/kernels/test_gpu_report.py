"""The report for a GPU and the roofline page: their logic, on tiny shapes on the CPU."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt_from_scratch.benchmarks import tables
from gpt_from_scratch.benchmarks.common.clock import Clock
from gpt_from_scratch.benchmarks.common.timing import interleaved
from gpt_from_scratch.benchmarks.gpu import goals, kernel_work, roofline
from gpt_from_scratch.benchmarks.gpu import report as gpu_report
from gpt_from_scratch.benchmarks.gpu import steps as gpu_steps
from gpt_from_scratch.benchmarks.gpu import times as gpu_times
from gpt_from_scratch.benchmarks.gpu.markdown import failures, markdown
from gpt_from_scratch.kernels.ops.attention import benchmark as attention
from gpt_from_scratch.kernels.ops.layer_norm import benchmark as layer_norm
from gpt_from_scratch.kernels.proof.sources import KERNELS, source_hash
from gpt_from_scratch.kernels.registry import load_ops
from gpt_from_scratch.models.gpt import GPTConfig

CALLED = [made.name for made in load_ops().values() if made.spec.calls(GPTConfig())]
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def report_on_cpu(folder: Path, minutes: float, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command writes, on tiny shapes."""
    command = ["gpu_report", "--out", str(folder), "--device", "cpu", "--minutes", str(minutes)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as stopped:
        gpu_report.main()
    assert stopped.value.code == 0
    found: dict[str, Any] = json.loads((folder / "kernels_gpu.json").read_text())
    return found


@pytest.mark.compile
def test_the_report_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = report_on_cpu(tmp_path, 60, monkeypatch)
    assert report["parity"]["passed"] > 20
    assert report["left out"] == []
    for row in report["times"]:
        assert 0 < row["forward"]["p20"] <= row["forward"]["median"] <= row["forward"]["p80"]
    outside = {"outside sdpa", "outside sdpa flash, deterministic", "outside eager"}
    assert {row["contender"] for row in report["times"]} == {"torch"} | outside
    layouts = {f"{kind} grad_output" for kind in ("expanded", "strided", "transposed", "sliced")}
    assert {*report["parity"]["layouts"]} > layouts | {"strided inputs", "packed inputs", "expanded weight"}
    names = [row["backends"] for row in report["steps"]]
    assert names == ["torch", "reference", *(f"torch, {op} by reference" for op in CALLED)]
    assert report["steps"][0]["beside ours"]["median"] == 1.0
    assert (tmp_path / "kernels_gpu.md").read_text() == markdown(report)
    report["left out"], report["parity"]["failures"] = ["times: later"], ["attention x: error | <b>"]
    report["times"].append({"op": "attention", "shape": "s", "contender": "triton", "error": "no <such> chip"})
    page = markdown(report)
    assert "- times: later" in page and "1 failed" in page and "refuses: no &lt;such> chip" in page
    assert failures(report) == ["attention x: error | <b>", "attention s: no <such> chip"]


@pytest.mark.compile
def test_without_time_everything_is_named_as_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = report_on_cpu(tmp_path, 0.001, monkeypatch)
    assert report["times"] == [] and report["steps"] == []
    assert len(report["left out"]) == 1 + len(kernel_work.small()) + 2 + len(CALLED)


def test_an_illegal_access_ends_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one every call fails: a hundred failures, of which one is a defect."""

    def broken(*arguments: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(gpu_report, "check_parity", broken)
    assert len(gpu_report.parity("cpu", Clock(10), True)["failures"]) > 20  # an error, and the device still works
    monkeypatch.setattr(gpu_report, "device_is_lost", lambda device: True)
    monkeypatch.setattr(sys, "argv", ["gpu_report", "--out", str(tmp_path), "--device", "cpu"])
    with pytest.raises(SystemExit, match="broke the device, and nothing can run on it any more"):
        gpu_report.main()
    (failure,) = json.loads((tmp_path / "kernels_gpu.json").read_text())["parity"]["failures"]
    assert "illegal memory access" in failure


def test_no_gpu_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu_report", "--out", str(tmp_path / "new")])
    with pytest.raises(SystemExit, match="no CUDA device"):
        gpu_report.main()
    assert not (tmp_path / "new").exists()


def test_the_committed_roofline_is_what_the_command_prints() -> None:
    measured = json.loads(roofline.MEASURED.read_text()) if roofline.MEASURED.exists() else None
    assert (RESULTS / "kernels_roofline.md").read_text(encoding="utf-8") == roofline.page(measured)


def test_the_roofline_counts_what_it_says() -> None:
    work = attention.work(2, 3, 8, 4)
    assert work.forward_flops == 2 * 2 * 3 * 8 * 8 * 4
    assert work.forward_bytes == 4 * (2 * 3 * 8 * 4) * 2
    assert roofline.floor(788e12, 1.0) == (1.0, "arithmetic")
    assert roofline.floor(0.0, 4.3e12) == (1.0, "memory")
    row = {"op": "attention", "shape": work.shape, "contender": "triton"}
    row |= {"forward": {"median": 2e-6}, "both": {"median": 5e-6}}
    measured = {"times": [row]}
    assert roofline.found(measured, work, "forward") == "2.0"
    assert roofline.found(measured, work, "backward") == "3.0"
    assert roofline.found(measured, layer_norm.work(4, 4), "forward") == "not measured yet"


def test_rounds_are_interleaved_and_at_least_five() -> None:
    calls: list[str] = []
    found = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 50, "cpu", seconds=0.0)
    assert calls == ["a", "b"] * 6  # one to warm up, then five rounds although no time was left
    assert found["a"]["p20"] <= found["a"]["median"] <= found["a"]["p80"]


def measured(factor: float) -> dict[str, Any]:
    """A report in which our kernels run at `factor` of a rate that reaches every goal exactly."""
    rows = []
    for work in kernel_work.on_gpu():
        rates = {"outside inductor": 1.0, "triton": factor, "outside sdpa flash": 0.5, "outside refuses": None}
        for name, rate in rates.items():
            row: dict[str, Any] = {"op": work.op, "shape": work.shape, "contender": name}
            if rate is None:
                rows.append({**row, "error": "no"})
                continue
            row |= {"forward": {"median": 1 / rate}, "both": {"median": 3 / rate}, "TB/s": 0.7 * 4 * rate}
            row |= {"forward TFLOP/s": 290 * rate, "backward TFLOP/s": 100 * rate * (0.9 if name == "triton" else 1)}
            rows.append({**row, "peak memory, bytes": 100 if name == "triton" else round(500 * factor)})
    environment = {"device": "a card", "torch": "2", "commit": "c" * 40}
    steps = [{"backends": "triton", "tokens/s": 550_000 * factor}]
    return {"environment": environment, "times": rows, "steps": steps, "ceilings": {"TB/s": 4.0, "TFLOP/s": 800.0}}


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "reached"), (1.2, "reached"), (0.8, "missed")])
def test_every_goal_is_found_in_a_report_and_judged(factor: float, verdict: str) -> None:
    verdicts = [line.split("|")[-2].strip() for line in goals.table(measured(factor))[2:]]
    assert verdicts == [verdict] * len(goals.goals())
    values = {goal.what: goal.measured(measured(factor)) for goal in goals.goals()}
    assert values["its peak memory, part of compiled eager's"] == pytest.approx(0.2 / factor)
    assert values["the same, beside the best of torch's"] == pytest.approx(factor)
    nothing = {"environment": {}, "times": [], "steps": [{"backends": "triton", "error": "out of memory"}]}
    assert [goal.measured(nothing) for goal in goals.goals()] == [None] * len(goals.goals())


def test_what_refuses_says_so_and_the_others_are_measured() -> None:
    def refuses(**arguments: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("not on this chip")

    work = layer_norm.work(64, 16, 4)
    functions = {"mine": kernel_work.contenders(work, "cpu", torch.float32)["torch"], "theirs": refuses}
    rows = {row["contender"]: row for row in gpu_times.compared(work, functions, "cpu", torch.float32, True)}
    assert rows["theirs"]["error"] == "not on this chip"
    assert rows["mine"]["both"]["median"] > 0


@pytest.mark.compile
def test_a_variant_that_cannot_be_told_from_another_has_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = {"nowhere": "triton", "reference": "reference", "the same": "reference"}
    monkeypatch.setattr(gpu_steps, "variants", lambda device: choices)
    found = {row["backends"]: row for row in gpu_steps.steps("cpu", Clock(10), True)}
    assert found["reference"]["tokens/s"] > 0 and found["reference"]["beside ours"] is None
    assert found["the same"]["error"] == "ran a graph that another variant had compiled"
    assert "'triton' cannot run here" in found["nowhere"]["error"]
    empty = {"parity": {"passed": 0, "layouts": {}, "failures": []}, "equal bits": {"runs": 0, "different": []}}
    empty |= {"model": {"backend": "torch", "failures": []}, "environment": {"device": "a CPU"}, "left out": []}
    page = markdown({**empty, "times": [], "ceilings": {"TFLOP/s": 1.0, "TB/s": 1.0}, "steps": list(found.values())})
    assert "| the same | ran a graph that another variant had compiled |" in page


def test_a_deterministic_contender_is_so_in_both_passes_and_leaves_the_mode_as_it_was() -> None:
    seen = []

    class Spy(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            seen.append(torch.are_deterministic_algorithms_enabled())
            return x * 2

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            seen.append(torch.are_deterministic_algorithms_enabled())
            return gradient * 2

    x = torch.ones(2, requires_grad=True)
    for function, expected in ((Spy.apply, False), (kernel_work.Deterministic(lambda x: Spy.apply(x)), True)):
        seen.clear()
        kernel_work.forward_and_backward(lambda x, f=function: f(x) if f is Spy.apply else f(x=x), {"x": x}, [x])
        assert seen[0] == expected
    kernel_work.forward_and_backward(function, {"x": x}, [x])
    assert seen[-2:] == [True, True]
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("path", tables.FILES, ids=lambda path: str(path.relative_to(tables.ROOT)))
def test_the_committed_tables_are_what_the_command_writes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == tables.written(text), "run: python -m gpt_from_scratch.benchmarks.tables"


def test_every_table_stands_somewhere() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in tables.FILES)
    assert {found["name"] for found in tables.MARKED.finditer(pages)} == tables.TABLES.keys()


def test_a_measurement_says_whether_it_is_of_these_kernels(tmp_path: Path) -> None:
    report, table = measured(1.1), tables.TABLES["contenders"]
    for hashed, said in (
        (source_hash(), "unchanged since"),
        ("0" * 16, "changed since this was measured"),
        (None, "changed since this was measured"),  # a report of an older release
    ):
        report["environment"]["kernel sources"] = hashed
        (tmp_path / "kernels_gpu.json").write_text(json.dumps(report))
        for found in (tables.kernels(tmp_path)[0], table(tmp_path)[0], roofline.page(report)):
            assert f"kernels {'are ' * (hashed == source_hash())}{said}" in found


def test_the_hash_is_of_the_kernels_code_and_of_their_configurations(tmp_path: Path) -> None:
    copy = tmp_path / "kernels"
    shutil.copytree(KERNELS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    norms = copy / "ops" / "layer_norm" / "triton_norm.py"
    lines = copy / "ops" / "attention" / "configurations.py"
    text, configurations = norms.read_text(), lines.read_text()
    assert source_hash(copy) == source_hash()
    norms.write_text("# words\nimport os\n" + text.replace('"""', '"""Other words. ', 1))
    norms.rename(copy / "ops" / "attention" / "elsewhere.py")
    assert source_hash(copy) == source_hash()  # words, imports, places
    (copy / "ops" / "attention" / "elsewhere.py").write_text(text.replace("+ eps)", "+ 2 * eps)"))
    assert source_hash(copy) != source_hash()
    (copy / "ops" / "attention" / "elsewhere.py").write_text(text)
    lines.write_text(configurations.replace("half   64     0       64    64", "half   64     0       64    32"))
    assert source_hash(copy) != source_hash()
    lines.write_text(configurations)
    (copy / "ops" / "layer_norm" / "another.py").write_text("import triton\n")
    assert source_hash(copy) != source_hash()


def test_tables_are_written_between_their_markers(tmp_path: Path) -> None:
    page = "a\n<!-- table: kernels -->\nold\n<!-- end of table: kernels -->\nb <!-- table: contenders -->\n"
    page += "<!-- end of table: contenders -->"
    assert tables.written(page, tmp_path).count("not measured yet") == len(goals.goals()) + 1
    (tmp_path / "kernels_gpu.json").write_text(json.dumps(measured(1.1)))
    made = tables.written(page, tmp_path)
    assert "a\n<!-- table: kernels -->\nGoals" in made and "old" not in made
    assert "Measured on a card" in made and "| 319 TFLOP/s | reached |" in made
    assert "| inductor | 3,000,000.0 | 0.91 |" in made
    assert tables.written(made, tmp_path) == made
    with pytest.raises(ValueError, match="no table 'kernel'; there are kernels, "):
        tables.written(re.sub("kernels", "kernel", page))
    with pytest.raises(ValueError, match="2 tables begin, 1 of them end"):
        tables.written(page.replace("<!-- end of table: kernels -->", ""))
