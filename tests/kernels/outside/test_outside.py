"""Backends from outside: `kernels check`, entry points, and kernels of the hub; wrong ones are refused everywhere."""

import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from gpt_from_scratch.kernels.__main__ import main
from gpt_from_scratch.kernels.fastest import time_backends
from gpt_from_scratch.kernels.ops.layer_norm import layer_norm
from gpt_from_scratch.kernels.outside import hub, modules
from gpt_from_scratch.kernels.outside.modules import import_backends
from gpt_from_scratch.kernels.registry import load_ops
from gpt_from_scratch.support.command_line.invocation import how_to_install

ROOT = Path(__file__).parents[3]
MODULE = """
import torch
from gpt_from_scratch.kernels.ops.layer_norm import layer_norm

@layer_norm.backend("{name}")
def mine(x, weight, bias, eps=1e-5):
    shift = None if bias is None else bias.float()
    return torch.nn.functional.layer_norm(x.float(), weight.shape, weight.float(), shift, {eps}).to(x.dtype)
"""
KERNEL = MODULE.replace("from gpt_from_scratch.kernels.ops.layer_norm import layer_norm\n", "").replace(
    '@layer_norm.backend("{name}")\ndef mine', "def layer_norm"
)


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers and imports is gone after it."""
    monkeypatch.setattr(layer_norm, "backends", dict(layer_norm.backends))
    monkeypatch.setattr(hub, "_taken", {})
    monkeypatch.setenv("CXX", "no compiler")
    for made in load_ops().values():
        monkeypatch.setattr(made, "_missing", {})
    names, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - names:
        if "outside_" in name:
            del sys.modules[name]


@pytest.fixture
def module(tmp_path: Path) -> Callable[..., str]:
    """Writes a module with one backend; `eps` is what it takes for eps."""

    def write(name: str, eps: str = "eps") -> str:
        file = tmp_path / f"outside_{name}.py"
        file.write_text(MODULE.format(name=name, eps=eps), encoding="utf-8")
        return str(file)

    return write


def test_a_right_kernel_passes_the_check(module: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--device", "cpu", "--backend-module", module("mine")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("layer_norm mine: right (") and not any("WRONG" in line for line in lines)
    groups = [line for line in lines if "cases right; worst error" in line]
    assert len(groups) == len(lines) - 1 > 10 and all("allowed" in line for line in groups)
    assert {line.split()[2] for line in groups} == {"float32", "bfloat16"}
    compared = sum(int(line.split(": ")[1].split()[0]) for line in groups)
    assert f"({compared} cases)" in lines[-1] and compared > 50


@pytest.mark.parametrize("eps", ["2 * eps", "None or 1 / 0"])
def test_a_wrong_kernel_does_not(module: Callable[..., str], eps: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--device", "cpu", "--backend-module", module("bad", eps)]) == 1
    printed = capsys.readouterr().out
    assert "layer_norm bad: REFUSED" in printed and "layer_norm bad float32 width: WRONG in" in printed
    assert ("allowed" if "eps" in eps else "ZeroDivisionError") in printed


def test_a_read_out_of_bounds_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Right wherever the memory after the weight happens to hold numbers."""
    file = tmp_path / "outside_beyond.py"
    beyond = (
        "weight = weight + 0 * weight.as_strided((1,), (1,), weight.storage_offset() + weight.numel()).detach()\n    "
    )
    file.write_text(MODULE.format(name="beyond", eps="eps").replace("shift =", f"{beyond}shift =", 1), encoding="utf-8")
    assert main(["check", "--device", "cpu", "--backend-module", str(file)]) == 1
    assert "error nan" in capsys.readouterr().out


def test_a_backend_for_no_such_device_is_not_called_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "outside_far.py"
    file.write_text(MODULE.format(name="far", eps="eps").replace('"far"', '"far", devices=("xpu",)'), encoding="utf-8")
    with pytest.raises(ValueError, match="no backend of any op to test on cpu"):
        main(["check", "--device", "cpu", "--backend-module", str(file)])
    assert "layer_norm far: not tested: runs on xpu, not cpu" in capsys.readouterr().out


def test_fastest_refuses_what_is_wrong(module: Callable[..., str]) -> None:
    import_backends([module("mine"), module("bad", "2 * eps")])
    arguments = {"x": torch.randn(4, 32), "weight": torch.ones(32), "bias": torch.zeros(32)}
    timings = {t.backend: t for t in time_backends(layer_norm, arguments, torch.device("cpu"))}
    assert timings["mine"].seconds is not None
    assert timings["bad"].seconds is None and str(timings["bad"].why_not).startswith(
        "wrong, so not timed: width-32: output"
    )


def test_an_installed_distribution_brings_its_own(
    module: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real distribution on sys.path, as pip leaves it."""
    module("theirs")
    info = tmp_path / "their_norms-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-norms\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{modules.GROUP}]\nnorms = outside_theirs\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["--device", "cpu"]) == 0
    assert "theirs" in capsys.readouterr().out
    import_backends([])  # once more: nothing twice
    (tmp_path / "outside_theirs.py").write_text("1 / 0\n")
    del sys.modules["outside_theirs"]
    with pytest.raises(ValueError, match=r"entry point norms = outside_theirs in .*ZeroDivisionError"):
        import_backends([])


def kernel_in(folder: Path, eps: str = "eps") -> Path:
    """A folder as the kernels library reads one: a variant for every processor, without compiled code."""
    variant = folder / "build" / "torch-cpu"
    variant.mkdir(parents=True)
    (variant / "__init__.py").write_text(KERNEL.format(eps=eps), encoding="utf-8")
    metadata = {
        "id": f"outside_{folder.name}",
        "name": folder.name,
        "version": 1,
        "license": "MIT",
        "python-depends": [],
    }
    metadata["backend"] = {"type": "cpu"}
    (variant / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    return folder


def test_without_the_library_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", none)
    for name in ("hub:some/norms", str(kernel_in(tmp_path / "norms"))):
        with pytest.raises(ValueError, match=re.escape(f"need the library `kernels`: {how_to_install('hub')}")):
            import_backends([name])


def test_the_hub_is_asked_through_the_library_and_parity_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library's own call, with its answer in the place of the network's."""
    asked = []

    class Library:
        @staticmethod
        def get_kernel(name: str, revision: str) -> object:
            asked.append((name, revision))
            path = kernel_in(tmp_path / f"norms{len(asked)}", "eps" if name == "some/norms" else "2 * eps")
            path = path / "build" / "torch-cpu" / "__init__.py"
            spec = importlib.util.spec_from_file_location(f"outside_hub_{len(asked)}", path)
            assert spec is not None and spec.loader is not None
            made = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(made)
            return made

    monkeypatch.setattr(hub, "library", lambda: Library)
    for _ in range(2):
        import_backends(["hub:some/norms"])
    assert asked == [("some/norms", "main")] and "norms" in layer_norm.backends
    with pytest.raises(ValueError, match="some/wrong is refused: its layer_norm is wrong on width-32: output"):
        import_backends(["hub:some/wrong@v1"])
    assert asked[1] == ("some/wrong", "v1") and "wrong" not in layer_norm.backends


@pytest.mark.harness
@pytest.mark.parametrize("where", ["root", "elsewhere"])
def test_a_folder_loads_through_the_real_library(tmp_path: Path, where: str) -> None:
    """Also from the clone's root, where `import kernels` finds our own folder."""
    good, bad = kernel_in(tmp_path / "norms"), kernel_in(tmp_path / "wrong-norms", "2 * eps")
    script = f"""
import sys
if {where!r} == "root":
    sys.path.insert(0, "")
    import kernels
    assert not hasattr(kernels, "__version__"), "ours shadows theirs here"
import torch
from gpt_from_scratch.kernels import layer_norm
from gpt_from_scratch.kernels.outside.modules import import_backends
import_backends([{str(good)!r}])
x, weight = torch.randn(3, 8), torch.ones(8)
torch.testing.assert_close(layer_norm(x, weight, None, backend="norms"), layer_norm(x, weight, None, backend="reference"))
assert layer_norm.backends["norms"].module == "outside_norms"
try:
    import_backends([{str(bad)!r}])
except ValueError as error:
    assert "is refused" in str(error), error
    assert "wrong-norms" not in layer_norm.backends
    print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT if where == "root" else tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and done.stdout == "refused\n", done.stdout + done.stderr
