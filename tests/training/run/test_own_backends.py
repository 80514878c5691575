"""A backend in a module of the user's own: chosen by name, timed, listed, kept by the run, and imported on every rank."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpt_from_scratch.kernels.ops.layer_norm import layer_norm
from gpt_from_scratch.kernels.outside.modules import import_backends
from gpt_from_scratch.kernels.registry import load_ops
from gpt_from_scratch.training import train_gpt2
from gpt_from_scratch.training.config import as_json, from_json
from gpt_from_scratch.training.run.command_line import parse
from tests.training.outcomes import stop_after

MINE = """
import os
import torch
from gpt_from_scratch.kernels.ops.layer_norm import layer_norm

@layer_norm.backend("{name}")
def mine(x, weight, bias, eps=1e-5):
    with open({seen!r}, "a") as seen:
        seen.write(os.environ.get("RANK", "alone") + "\\n")
    return torch.nn.functional.layer_norm(x, weight.shape, weight, bias, eps)
"""


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers and imports is gone after it."""
    monkeypatch.setattr(layer_norm, "backends", dict(layer_norm.backends))
    monkeypatch.setenv("CXX", "no compiler")  # "compiled" takes part in nothing here
    for made in load_ops().values():
        monkeypatch.setattr(made, "_missing", {})
    modules, path = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if "backends_of" in name:
            del sys.modules[name]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file with a backend that notes each of its calls beside itself."""
    file = tmp_path / "backends_of_mine.py"
    file.write_text(MINE.format(name="mine", seen=str(tmp_path / "seen")), encoding="utf-8")
    return file


def test_a_run_takes_it_keeps_it_and_goes_on_with_it_on_every_rank(
    run: Callable[..., Path], mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        folder = run("own", "--backend-module", str(mine), "--backend", "layer_norm=mine")
    assert json.loads((folder / "config.json").read_text())["backend_module"] == [str(mine)]
    assert set((tmp_path / "seen").read_text().split()) == {"alone"}
    (tmp_path / "seen").unlink()
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m"]
    command += ["gpt_from_scratch.training.train_gpt2", "--resume", str(folder)]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set((tmp_path / "seen").read_text().split()) == {"0", "1"}
    rows = {row["op"]: row["backend"] for row in json.loads((folder / "run.json").read_text())["backends"]}
    assert rows["layer_norm"] == "mine"


def test_fastest_times_it(run: Callable[..., Path], mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("timed", "--steps", "1", "--backend-module", str(mine), "--backend", "fastest")
    assert "mine" in capsys.readouterr().out


def test_several_modules_by_file_or_by_name(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "backends_of_others"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "theirs.py").write_text(MINE.format(name="theirs", seen=str(tmp_path / "seen")), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    words = ["--backend-module", mine.name, "--backend-module=backends_of_others.theirs"]
    config = parse(words).train
    assert config.backend_module == (mine.name, "backends_of_others.theirs")
    assert from_json(json.loads(json.dumps(as_json(config)))) == config
    for _ in range(2):  # imported once, whatever asks for it again
        import_backends(config.backend_module)
        import_backends([str(mine)])
    assert {"mine", "theirs"} < layer_norm.backends.keys()


@pytest.mark.parametrize(
    ("module", "text", "words"),
    [
        ("backends_of_nobody.py", None, "backends_of_nobody.py: there is no such file"),
        ("backends_of_nobody.norms", None, "No module named 'backends_of_nobody'"),
        ("backends_of_me.py", "x = 1\n\n1 / 0\n", "ZeroDivisionError: division by zero (backends_of_me.py, line 3)"),
        ("backends_of_me.py", "def f(:\n", "SyntaxError"),
        ("backends_of_me.py", "x = 1\n", "registers no backend: decorate a function with @layer_norm.backend"),
        ("backends_of_me.py", MINE.format(name="torch", seen=""), "backend 'torch' is already registered"),
    ],
)
def test_what_cannot_be_imported_is_told_before_anything_is_made(
    module: str,
    text: str | None,
    words: str,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / module).write_text(text, encoding="utf-8")
    assert train_gpt2.main([*arguments, "--backend-module", module]) == 2
    printed = capsys.readouterr().err
    assert words in printed and len(printed.splitlines()) <= 3 and "Traceback" not in printed
    assert not (tmp_path / "runs").exists()


def test_an_unknown_backend_is_told_before_anything_is_made(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_gpt2.main([*arguments, "--backend", "layer_norm=mine"]) == 2
    assert "layer_norm has no backend 'mine'; known: " in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("named", ["nope", "layer_norm=mine", "no_op=torch"])
def test_so_is_one_that_the_environment_names(
    named: str,
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GPT_BACKEND", named)
    assert train_gpt2.main(arguments) == 2
    printed = capsys.readouterr()
    assert f"GPT_BACKEND is '{named}': " in printed.err and "data:" not in printed.out
    assert not (tmp_path / "runs").exists()
