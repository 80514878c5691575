"""The real command whose pipe, terminal or log fails while it trains: the weights are those of an undisturbed run."""

import hashlib
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.training import train_gpt2
from gpt_from_scratch.training.data.shards import read_index
from tests.training.conftest import SENTENCES, SMALL
from tests.training.faults.launch import ROOT, records

STEPS = 60
SETTINGS = f"--steps {STEPS} --run.eval-every 0 --run.sample-every 20 --run.checkpoint-every 20 --run.n-final-samples 1"
ENVIRONMENT = dict(os.environ, OMP_NUM_THREADS="1")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text whose samples have letters that few encodings have."""
    path = tmp_path_factory.mktemp("text") / "text.txt"
    words = "".join(SENTENCES[i * i % 3] for i in range(60))
    path.write_text(words.replace("cat", "🐈").replace("dog", "größer"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def command(text: Path) -> list[str]:
    settings = [*SMALL, *shlex.split(SETTINGS), "--data.path", str(text)]
    return [sys.executable, "training/train_gpt2.py", *settings]


def about(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return found


def digest(folder: Path) -> str:
    path = folder / "checkpoints" / f"step-{STEPS:08d}" / "model" / "model.safetensors"
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def undisturbed(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(
        [*command, "--run.folder", root, "--run.name", "run"],
        cwd=ROOT,
        env=ENVIRONMENT,
        check=True,
        capture_output=True,
    )
    return digest(root / "run")


@pytest.mark.parametrize("redirected", ["2>&1 | head -1", ">/dev/full 2>&1", ">&- 2>&-"])
def test_a_lost_output_ends_no_run(command: list[str], undisturbed: str, tmp_path: Path, redirected: str) -> None:
    arguments = [*command, "--run.folder", str(tmp_path), "--run.name", "run"]
    line = f"{shlex.join(arguments)} {redirected}; exit ${{PIPESTATUS[0]}}"
    environment = dict(ENVIRONMENT, PYTHONIOENCODING="latin-1")
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert digest(tmp_path / "run") == undisturbed
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr
    if ">&-" not in redirected:  # nobody wanted to see that one
        assert about(tmp_path / "run")["display"].startswith("lost at step ")
        events = [line["message"] for line in records(tmp_path / "run") if line["kind"] == "event"]
        assert any(message.startswith("display lost at step ") for message in events)


def test_an_encoding_without_the_samples_letters_loses_nothing(
    command: list[str], undisturbed: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [*command, "--run.folder", tmp_path, "--run.name", "run"],
        cwd=ROOT,
        env=dict(ENVIRONMENT, PYTHONIOENCODING="ascii:strict"),
        capture_output=True,
        check=True,
    )
    assert digest(tmp_path / "run") == undisturbed and "display" not in about(tmp_path / "run")
    assert b"samples after step 20:" in done.stdout and done.stdout.isascii()


@pytest.mark.parametrize("ignored", [True, False], ids=["nohup", "plain"])
def test_a_terminal_that_hangs_up_ends_no_run_unsaved(
    command: list[str], undisturbed: str, tmp_path: Path, ignored: bool
) -> None:
    arguments = [*command, "--run.log-every", "1", "--run.folder", str(tmp_path), "--run.name", "run"]
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
        os.chdir(ROOT)
        os.execvpe(arguments[0], arguments, dict(ENVIRONMENT, TERM="xterm"))
    try:
        read_until(terminal, lambda: any(line["kind"] == "train" for line in records(tmp_path / "run")))
    finally:
        os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    found = about(tmp_path / "run")
    assert found["state"] == ("finished" if ignored else "interrupted")
    if not ignored:
        assert "stopped by SIGHUP and saved" in records(tmp_path / "run")[-1]["message"]
        assert train_gpt2.main(["--resume", str(tmp_path / "run")]) == 0
    else:
        assert found["display"].startswith("lost at step ")
    assert digest(tmp_path / "run") == undisturbed


def read_until(terminal: int, found: Callable[[], bool]) -> None:
    """Read what the terminal shows, so that its writer never waits."""
    deadline = time.monotonic() + 120
    os.set_blocking(terminal, False)
    while not found():
        assert time.monotonic() < deadline
        try:
            os.read(terminal, 1 << 16)
        except BlockingIOError:
            time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_while_data_are_made_is_said_at_once_and_ends_the_run(tmp_path: Path, number: signal.Signals) -> None:
    settings = [*SMALL, "--data.source", "stories", "--data.tokenizer", "bpe", "--run.folder", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-u", "training/train_gpt2.py", *settings, "--data.n-stories", "400000"],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("data: stories"):
            break
    process.send_signal(number)
    assert process.stdout.readline() == "\n"
    assert process.stdout.readline() == f"{number.name}: stopping; there is nothing to save yet ...\n"
    rest = process.stdout.read()
    assert process.wait() == 128 + number
    assert len(rest.splitlines()) <= 1 and "Traceback" not in rest


def test_prepare_outlives_its_output(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("".join(SENTENCES) * 50, encoding="utf-8")
    settings = "--tokenizer character --workers 1 --validation-fraction 0.1 --out"
    command = [sys.executable, "-m", "gpt_from_scratch.training.prepare", str(tmp_path / "text.txt")]
    line = f"{shlex.join([*command, *settings.split(), str(tmp_path / 'shards')])} 2>&1 | true; exit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", line], cwd=ROOT, env=ENVIRONMENT, check=False).returncode == 0
    assert read_index(tmp_path / "shards").tokens("train") > 1000
