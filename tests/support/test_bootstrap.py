"""The script behind `make train` and `make test`: its decisions here, real set-ups in test_bootstrap_setup.py."""

import ast
import contextlib
import http.server
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gpt_from_scratch.support import bootstrap

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "support" / "bootstrap.py"


def test_an_old_python_can_read_the_script() -> None:
    """It must get as far as saying that it is too old."""
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 6))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {name.split(".")[0] for name in imported} <= set(sys.stdlib_module_names)
    for node in ast.walk(tree):  # an annotation that is evaluated there must not hold what Python 3.6 lacks
        annotation = getattr(node, "annotation", None) or getattr(node, "returns", None)
        if annotation is not None:
            assert not any(isinstance(part, ast.BinOp | ast.Subscript) for part in ast.walk(annotation)), node.lineno


def test_the_commands_of_the_readme() -> None:
    def printed(*words: str) -> list[str]:
        return shlex.split(subprocess.check_output([sys.executable, SCRIPT, "--print", *words], text=True))

    bin = ROOT / ".venv" / "bin"
    train = [f"{bin}/python", f"{bin}/gpt", "train"]
    assert printed("train") == train
    assert printed("train", "tiny", "--steps", "50", "--help") == [*train, "tiny", "--steps", "50", "--help"]
    test = [f"{bin}/python", "-m", "pytest", "-n", "auto", "--maxprocesses", "4", "--dist", "worksteal"]
    assert printed("test") == test
    assert printed("test", "--", "-k", "a or b") == [*test, "-k", "a or b"]
    assert printed("run", "--", "ls", "--", "-l") == ["ls", "--", "-l"]


def test_make_knows_the_same_targets_and_only_calls_the_script() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rule = re.search(r"^([\w ]+):\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert rule is not None
    assert set(rule[1].split()) == {*bootstrap.TARGETS, "help"} - {"run"}
    assert rule[2].splitlines()[-1] == "\t@exec $(PYTHON) $(BOOTSTRAP) $@ $(ARGS)"


@pytest.mark.parametrize(
    "words, message",
    [
        (["tests"], "there is no target 'tests'; there are: train, test, "),
        (["--torch", "gpu", "test"], "is 'gpu'; it can be: cpu, cuda, default"),
        (["run"], "run needs a command"),
    ],
)
def test_mistakes_are_told(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        bootstrap.main(words)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_the_environment_can_choose_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT_TORCH", "cuda")
    monkeypatch.setattr(sys, "platform", "linux")
    assert bootstrap.parse(["train"]).torch == "cuda"
    assert bootstrap.parse(["--torch", "cpu", "train"]).torch == "cpu"
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SystemExit):
        bootstrap.parse(["train"])


def test_help_lists_every_target(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        bootstrap.main([])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert all(target.about in shown for target in bootstrap.TARGETS.values())


def test_windows_is_sent_to_wsl(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "platform", "cygwin")
    with pytest.raises(SystemExit):
        bootstrap.main(["test"])
    assert "wsl --install" in capsys.readouterr().err


# Which Python


def fake_python(folder: Path, name: str, version: str, whole: bool = True) -> Path:
    """A program that answers the script's question as some Python would; no version means it cannot run."""
    path = folder / name
    answer = f"printf '%s\\n' '{version}' {whole} '{path}'" if version else "exit 127"
    path.write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def pretend_to_be(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The running Python is `python`, and its folder is all of PATH."""
    monkeypatch.setattr(sys, "prefix", "a venv")
    monkeypatch.setattr(sys, "_base_executable", str(python))
    monkeypatch.setenv("PATH", str(python.parent))


def test_a_python_that_will_do_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    this = fake_python(tmp_path, "python3", "3 13")
    fake_python(tmp_path, "python3.11", "3 11")
    pretend_to_be(this, monkeypatch)
    assert bootstrap.find_python() == str(this)


def test_another_python_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_python(tmp_path, "python3.11", "")  # as pyenv's shims of what is not installed
    fake_python(tmp_path, "python3.12", "3 12", whole=False)
    there = fake_python(tmp_path, "python3.13", "3 13")
    for unfit in ("3 8", "3 15"):
        pretend_to_be(fake_python(tmp_path, "python3", unfit), monkeypatch)
        assert bootstrap.find_python() == str(there)


def test_the_missing_venv_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_to_be(fake_python(tmp_path, "python3", "3 12", whole=False), monkeypatch)
    with pytest.raises(SystemExit, match=r"apt install python3\.12-venv"):
        bootstrap.find_python()


def test_without_any_python_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_to_be(fake_python(tmp_path, "python3", "3 9"), monkeypatch)
    with pytest.raises(SystemExit) as stopped:
        bootstrap.find_python()
    for words in ("Python 3.11 to 3.14 is needed", "apt install", "dnf install", "brew install"):
        assert words in str(stopped.value)


# Which build of torch


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What pip would be asked for, in a venv without torch."""
    asked: list[list[str]] = []
    monkeypatch.setattr(bootstrap.Progress, "pip", lambda self, arguments: asked.append(arguments))
    monkeypatch.setattr(bootstrap, "output_of", lambda python, code: None)
    return asked


def test_the_cpu_index_serves_torch_and_nothing_else(
    installed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "is_reachable", lambda url: True)
    bootstrap.install_cpu_torch(bootstrap.Progress(600, 0))
    assert installed == [["--no-deps", "--index-url", "https://download.pytorch.org/whl/cpu", "torch==2.13.0"]]


def test_without_the_cpu_index_it_says_so(
    installed: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "is_reachable", lambda url: False)
    bootstrap.install_cpu_torch(bootstrap.Progress(600, 0))
    assert installed == []
    assert "taking the ordinary index's build of torch==2.13.0" in capsys.readouterr().err


def test_a_torch_that_is_there_is_kept(installed: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "output_of", lambda python, code: "2.13.0+cpu")
    bootstrap.install_cpu_torch(bootstrap.Progress(600, 0))
    assert installed == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Collecting numba>=0.60 (from provengpt==0.1.0)\n", "looking for numba"),
        (
            "  Downloading https://a.org/whl/torch-2.13.0%2Bcpu-cp311-linux.whl (184.3 MB)\n",
            "downloading torch (184.3 MB)",
        ),
        ("Downloading numpy-2.4.1-cp311-cp311-linux.whl (16.6 MB)\n", "downloading numpy (16.6 MB)"),
        ("  Using cached rich-14.0-py3-none-any.whl\n", "downloading rich"),
        ("Installing collected packages: mpmath, sympy, torch\n", "installing 3 packages"),
        ("Installing collected packages: torch\n", "installing torch"),
        ("  Preparing metadata (setup.py): started\n", "as before"),
    ],
)
def test_a_set_up_says_what_pip_is_at(line: str, says: str) -> None:
    progress = bootstrap.Progress(600, 0)
    progress.what = "as before"
    progress.heed(line)
    assert progress.what == says


def test_a_set_up_says_how_far_it_is_and_how_long_the_rest_takes(capsys: pytest.CaptureFixture[str]) -> None:
    progress = bootstrap.Progress(100, 0)
    progress.what, progress.moves = "downloading torch", False
    for megabytes in (1, 21, 22, 50, 5000):  # twice 100 MB are to come: downloaded, then installed
        progress.begun = time.time() - 30
        progress.show(megabytes * 1e6)
    assert capsys.readouterr().err.splitlines() == [
        "gpt_from_scratch: 10%, downloading torch, about 4 min left",
        "gpt_from_scratch: 25%, downloading torch, about 90 s left",
        "gpt_from_scratch: 99%, downloading torch",
    ]
    progress.moves = True
    progress.show(100e6)
    assert capsys.readouterr().err.startswith("\r\x1b[K  [###############...............]  50%  downloading torch")


def test_no_gpu_means_the_cpu_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "Path", lambda path: Path("nowhere"))
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "platform", "linux")
    assert bootstrap.choose_torch() == "cpu"
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    assert bootstrap.choose_torch() == "default"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert bootstrap.choose_torch() == "default"


@pytest.mark.parametrize("answer, build", [("\n", "cpu"), ("y\n", "cpu"), ("No\n", "default"), ("", "cpu")])
def test_someone_at_the_terminal_is_asked(answer: str, build: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return answer

        def write(self, text: str) -> None:
            written.append(text)

        def flush(self) -> None: ...

    written: list[str] = []
    monkeypatch.setattr(bootstrap, "Path", lambda path: Path("nowhere"))
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert bootstrap.choose_torch() == build
    assert "[Y/n]" in "".join(written)


def test_reachable_means_a_good_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200 if self.path == "/torch/" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(http.server.HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        stack.callback(server.shutdown)
        url = f"http://127.0.0.1:{server.server_address[1]}"
        assert bootstrap.is_reachable(f"{url}/torch/")
        assert not bootstrap.is_reachable(f"{url}/other/")
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        assert not bootstrap.is_reachable(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.2)
    assert not bootstrap.is_reachable(f"{url}/torch/")  # nobody is there any more


# Stamps


def test_only_a_venv_of_this_place_and_build_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "venv_python", lambda: "3.11")
    stamp = {"finished": True, "root": str(bootstrap.ROOT), "torch": "cpu", "python": "3.11"}
    assert bootstrap.is_sound(stamp, None) and bootstrap.is_sound(stamp, "cpu")
    assert not bootstrap.is_sound(stamp, "cuda")
    for change in ({"finished": False}, {"root": os.sep}, {"python": "3.12"}, {"python": None}):
        assert not bootstrap.is_sound({**stamp, **change}, None)
    assert not bootstrap.is_sound({}, None)


def test_a_full_disk_is_told_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1e8}))
    with pytest.raises(SystemExit):
        bootstrap.announce("test", "cpu")
    assert "only 0.1 GB are free" in capsys.readouterr().err
