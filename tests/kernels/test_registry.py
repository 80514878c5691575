"""The registry: who decides, what an explicit choice may never do, and that a new file is all a new backend needs."""

import dataclasses
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt_from_scratch.kernels import registry
from gpt_from_scratch.kernels.backends import PREFERENCE
from gpt_from_scratch.kernels.choices import resolve, use_backend
from gpt_from_scratch.kernels.ops.attention import attention
from gpt_from_scratch.kernels.ops.layer_norm import layer_norm
from gpt_from_scratch.kernels.ops.rms_norm import rms_norm
from gpt_from_scratch.kernels.requirements import TOOLCHAINS, Needs, needs_of

ROOT = Path(__file__).parents[2]
ARGUMENTS = (torch.randn(4, 8), torch.ones(8), torch.zeros(8))


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A scratch backend of layer_norm, called "probe", that notes its calls."""
    calls: list[str] = []
    monkeypatch.setattr(layer_norm, "backends", dict(layer_norm.backends))
    monkeypatch.setattr(layer_norm, "_missing", {})

    @layer_norm.backend("probe")
    def layer_norm_probe(x, weight, bias, eps=1e-5):
        calls.append("probe")
        return layer_norm.reference(x, weight, bias, eps)

    return calls


def test_the_preference_of_the_cpu_is_the_reference(probe: list[str]) -> None:
    layer_norm(*ARGUMENTS)
    assert probe == []
    choice = layer_norm.choose("cpu")
    assert choice.backend == "reference"
    assert "default on cpu" in choice.reason


def test_an_op_may_declare_its_own_preference() -> None:
    """What is quickest on a CPU, where that is known; and no kernel of ours that no GPU has timed."""
    assert rms_norm.choose("cpu").backend == "torch"
    assert rms_norm.choose("cuda").backend == "torch"
    with use_backend("reference"):
        assert rms_norm.choose("cpu").backend == "reference"
    x = torch.randn(3, 8, requires_grad=True)
    assert "RMSNorm" in type(rms_norm(x).grad_fn).__name__  # the backend's own backward pass
    assert "RMSNorm" not in type(rms_norm(x, backend="reference").grad_fn).__name__


def test_argument_over_region_over_preference(probe: list[str]) -> None:
    layer_norm(*ARGUMENTS, backend="probe")
    assert len(probe) == 1
    with use_backend("probe"):
        layer_norm(*ARGUMENTS)
        assert len(probe) == 2
        layer_norm(*ARGUMENTS, backend="reference")
        with use_backend("layer_norm=reference"):
            layer_norm(*ARGUMENTS)
            attention(*(torch.randn(1, 1, 2, 4),) * 3)  # has no backend "probe": follows the preference
        with use_backend("reference"):
            layer_norm(*ARGUMENTS)
        assert len(probe) == 2
        layer_norm(*ARGUMENTS)
        assert len(probe) == 3
    layer_norm(*ARGUMENTS)
    assert len(probe) == 3


def test_a_region_ends_also_after_an_error() -> None:
    with pytest.raises(RuntimeError, match="boom"), use_backend("torch"):
        raise RuntimeError("boom")
    assert layer_norm.choose("cpu").backend == "reference"


@pytest.mark.parametrize("name", ["tritno", "Torch", "refrence"])
def test_an_unknown_name_lists_the_known_ones_and_the_nearest(name: str) -> None:
    with pytest.raises(ValueError, match=f"no backend '{name}'; known: .*reference.*did you mean"):
        layer_norm(*ARGUMENTS, backend=name)
    with pytest.raises(ValueError, match="did you mean"), use_backend(name):
        pass
    with pytest.raises(ValueError, match="did you mean"):
        resolve(name, "cpu")


def test_an_unknown_op_is_named() -> None:
    with pytest.raises(ValueError, match="no op 'atention'; known: .*did you mean 'attention'"):
        resolve("atention=torch", "cpu")


def test_an_explicit_choice_never_falls_back(probe: list[str]) -> None:
    layer_norm.backend("elsewhere", devices=("cuda",))(lambda x, weight, bias, eps=1e-5: x)
    with pytest.raises(RuntimeError, match="'elsewhere' cannot run here: runs on cuda, not cpu"):
        layer_norm(*ARGUMENTS, backend="elsewhere")
    with pytest.raises(RuntimeError, match="runs on cuda, not cpu"), use_backend("elsewhere"):
        layer_norm(*ARGUMENTS)
    with pytest.raises(RuntimeError, match="runs on cuda, not cpu"):
        resolve("elsewhere", "cpu")


def test_limits_move_the_preference_on_but_stop_an_explicit_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_norm, "backends", dict(layer_norm.backends))
    monkeypatch.setattr(layer_norm, "_missing", {})
    monkeypatch.setitem(PREFERENCE, "cpu", ("narrow",))

    def too_wide(x, weight, bias, eps=1e-5):
        return f"width {x.shape[-1]} is over 4" if x.shape[-1] > 4 else None

    @layer_norm.backend("narrow", limits=too_wide)
    def layer_norm_narrow(x, weight, bias, eps=1e-5):
        return x * 0

    assert layer_norm(torch.randn(2, 4), torch.ones(4), None).abs().sum() == 0
    assert layer_norm(*ARGUMENTS).abs().sum() > 0
    with pytest.raises(RuntimeError, match="cannot take these arguments: width 8 is over 4"):
        layer_norm(*ARGUMENTS, backend="narrow")
    assert layer_norm.why_not("narrow", "cpu", *ARGUMENTS) == "width 8 is over 4"


def test_a_run_wide_choice_binds_the_ops_that_have_it_and_names_the_others(probe: list[str]) -> None:
    choices = {choice.op: choice for choice in resolve("probe", "cpu")}
    assert choices["layer_norm"].backend == "probe"
    assert choices["attention"].backend == "reference"
    assert "no probe backend" in choices["attention"].reason


def test_registration_refuses_a_duplicate_and_other_parameters(probe: list[str]) -> None:
    with pytest.raises(
        ValueError, match="'torch' is already registered by gpt_from_scratch.kernels.ops.layer_norm.torch_backend"
    ):
        layer_norm.backend("torch")(lambda x, weight, bias, eps=1e-5: x)
    with pytest.raises(ValueError, match="'probe' is already registered"):
        layer_norm.backend("probe")(lambda x, weight, bias, eps=1e-5: x)
    for other in (lambda x, weight, bias: x, lambda x, weight, bias, eps=1e-6: x, lambda x, w, bias, eps=1e-5: x):
        with pytest.raises(TypeError, match="parameters and defaults must be the same"):
            layer_norm.backend("other")(other)


def test_an_interpreter_that_cannot_work_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = Needs(devices=("cuda",), interpreter="TRITON_INTERPRET")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    for triton, numpy, works in (("3.6.0", "2.4.6", False), ("3.6.0", "2.3.5", True), ("3.7.0", "2.4.6", True)):
        monkeypatch.setattr(importlib.metadata, "version", {"triton": triton, "numpy": numpy}.__getitem__)
        assert ((reason := needs.why_not("cpu")) is None) == works
        assert reason is None or "'numpy<2.4'" in reason
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    assert "runs on cuda, not cpu" in str(needs.why_not("cpu"))


def test_needs_are_told_apart() -> None:
    assert Needs().why_not("cpu") is None
    assert (
        Needs(requires=("no_such_package_of_ours",)).why_not("cpu")
        == "package 'no_such_package_of_ours' is not installed"
    )
    assert "needs torch>=99" in str(Needs(requires=("torch>=99",)).why_not("cpu"))
    assert Needs(requires=("torch>=2.11",)).why_not("cpu") is None


def test_no_compiler_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert "C++ compiler" in str(Needs(compiler=True).why_not("cpu"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("torch", "torch"),
        ("layer_norm=torch", "torch"),
        ("attention=torch", "reference"),
        ("tritno", "did you mean 'triton'"),
    ],
)
def test_the_environment_variable(value: str, expected: str) -> None:
    code = "from gpt_from_scratch.kernels import layer_norm; print(layer_norm.choose('cpu').backend)"
    environment = {**os.environ, "GPT_BACKEND": value}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if "triton" in expected and "triton" not in registry.known_backends():
        expected = "known: compiled, reference, torch"
    assert expected in result.stdout + result.stderr


def test_bad_arguments_are_refused_before_any_backend() -> None:
    x = torch.randn(1, 4, 8, 16)
    with pytest.raises(ValueError, match="the 3 key-value heads must divide the 4 query heads"):
        attention(x, x[:, :3], x[:, :3])
    with pytest.raises(TypeError, match="one floating dtype, got q: torch.float32, k: torch.float16"):
        attention(x, x.half(), x)
    with pytest.raises(ValueError, match="kv_lengths must be 1 integers"):
        attention(x, x, x, kv_lengths=torch.tensor([3, 4]))
    with pytest.raises(TypeError, match=r"weight must be torch.bfloat16 like the activations, or torch.float32"):
        layer_norm(ARGUMENTS[0].bfloat16(), ARGUMENTS[1].half(), None)
    with pytest.raises(ValueError, match="must be on one device"):
        layer_norm(ARGUMENTS[0], ARGUMENTS[1].to("meta"), None)


def test_autocast_does_not_change_an_op_inside() -> None:
    """F.layer_norm under autocast returns fp32 on CUDA; the contract says x's dtype."""
    x = torch.randn(4, 8).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for backend in ("reference", "torch"):
            assert layer_norm(x, torch.ones(8), None, backend=backend).dtype == torch.bfloat16
            assert layer_norm(x.float(), torch.ones(8), None, backend=backend).dtype == torch.float32


@pytest.mark.compile
def test_a_model_may_be_compiled_around_the_dispatch() -> None:
    """Whole graphs only, one per override, and going back to an override reuses its graph."""
    layer_norm.load("cpu")
    compiled = torch.compile(lambda x: layer_norm(x, ARGUMENTS[1], ARGUMENTS[2]) * 2, fullgraph=True, backend="eager")

    def graphs() -> int:
        return torch._dynamo.utils.counters["stats"]["unique_graphs"]

    before = graphs()
    for name in ("reference", "torch", "reference", "torch"):
        with use_backend(name):
            torch.testing.assert_close(compiled(ARGUMENTS[0]), layer_norm(*ARGUMENTS) * 2)
    assert graphs() - before == 2


@pytest.fixture
def copied(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """A copy of the kernels and of their tests in `tmp_path`; the function runs python in it."""
    package = tmp_path / "gpt_from_scratch"
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("benchmarks", "kernels", "models", "support"):
        shutil.copytree(ROOT / folder, package / folder, ignore=ignore)
    shutil.copytree(ROOT / "tests" / "kernels", tmp_path / "tests", ignore=ignore)
    shutil.copytree(ROOT / "tests" / "pages", tmp_path / "tests" / "pages", ignore=ignore)  # conftest.py's
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    def run(*command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), **variables}
        return subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return run


NEW_BACKEND = """
from gpt_from_scratch.kernels.ops.layer_norm.reference import layer_norm

@layer_norm.backend({declared})
def layer_norm_new(x, weight, bias, eps=1e-5):
    return {result}
"""


def test_a_new_backend_is_one_new_file(copied: Any, tmp_path: Path) -> None:
    """A file dropped in an op's folder is listed, tested and usable, and nothing else is touched."""
    file = tmp_path / "gpt_from_scratch" / "kernels" / "ops" / "layer_norm" / "shiny.py"
    result = "layer_norm.reference(x, weight, bias, eps)"
    file.write_text(NEW_BACKEND.format(declared="'shiny', requires=('torch>=2.11',)", result=result))
    listed = copied("-m", "gpt_from_scratch.kernels")
    assert "shiny" in listed.stdout, listed.stderr
    tested = copied("-m", "pytest", "tests/test_parity.py", "-q", "-k", "shiny and grad")
    assert tested.returncode == 0 and "passed" in tested.stdout, tested.stdout


def test_a_wrong_kernel_fails_whatever_its_name(copied: Any, tmp_path: Path) -> None:
    """A second Triton file in an op's folder is run by the interpreter, as the first is."""
    if importlib.util.find_spec("triton") is None:
        pytest.skip("no CUDA: nor triton, which has the interpreter")
    file = tmp_path / "gpt_from_scratch" / "kernels" / "ops" / "layer_norm" / "second_kernel.py"
    result = "2 * layer_norm.reference(x, weight, bias, eps)"
    file.write_text(NEW_BACKEND.format(declared="'another', toolchain='triton'", result=result))
    options = ("-q", "-p", "no:cacheprovider", "-k", "layer_norm and width-32-float32 and not add_")
    tested = copied("-m", "pytest", "tests/test_parity.py", *options, TRITON_INTERPRET="1")
    assert "1 failed, 1 passed" in tested.stdout, tested.stdout + tested.stderr
    assert "FAILED tests/test_parity.py::test_backend_equals_the_reference[layer_norm-another-width-32" in tested.stdout


def test_a_backend_file_whose_needs_are_not_literal_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "gpt_from_scratch"
    shutil.copytree(ROOT / "kernels", package / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "kernels" / "ops" / "layer_norm" / "vague.py").write_text(
        "from gpt_from_scratch.kernels.ops.layer_norm.reference import layer_norm\n"
        "NAME = 'vague'\n@layer_norm.backend(NAME)\ndef f(x, weight, bias, eps=1e-5):\n    return x\n"
    )
    code = "import gpt_from_scratch.kernels.ops.layer_norm"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "must be literals" in result.stderr


@pytest.mark.parametrize("made", registry.load_ops().values(), ids=lambda made: made.name)
def test_arguments_may_come_by_keyword_in_any_order(made: registry.Op[Any]) -> None:
    case = next(case for case in made.cases() if not case.large)
    arguments = case.make(torch.Generator().manual_seed(0), torch.float32)
    expected = made(**arguments)
    by_tensor = sorted(arguments, key=lambda name: isinstance(arguments[name], torch.Tensor))  # the others first
    for order in (by_tensor, by_tensor[::-1], list(arguments)[::-1]):
        torch.testing.assert_close(made(**{name: arguments[name] for name in order}), expected)


def test_a_call_without_a_tensor_is_told() -> None:
    with pytest.raises(TypeError, match="layer_norm: none of its arguments is a tensor"):
        layer_norm([1.0, 2.0], None, None)  # type: ignore[arg-type]


def test_each_gpu_is_asked_for_its_own_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older card beside a newer one must not speak for it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", {0: (7, 5), 1: (8, 0)}.__getitem__)
    monkeypatch.setattr(torch.cuda, "get_device_name", {0: "an old card", 1: "a new card"}.__getitem__)
    monkeypatch.setattr(layer_norm, "backends", dict(layer_norm.backends))
    monkeypatch.setattr(layer_norm, "_missing", {})
    layer_norm.backend("modern", devices=("cuda",), capability=(8, 0))(lambda x, weight, bias, eps=1e-5: x)
    for _ in range(2):  # also from what is remembered
        assert layer_norm.why_not("modern", "cuda:0") == "needs compute capability 8.0, an old card has 7.5"
        assert layer_norm.why_not("modern", "cuda:1") is None


def test_a_toolchain_stands_for_its_needs_and_a_backend_may_state_its_own() -> None:
    assert needs_of("triton") == TOOLCHAINS["triton"]
    assert needs_of("triton", capability=(9, 0)) == dataclasses.replace(TOOLCHAINS["triton"], capability=(9, 0))
    assert needs_of(devices=("mps",)) == Needs(devices=("mps",))
    with pytest.raises(ValueError, match="no toolchain 'tritno'; known: triton"):
        needs_of("tritno")
