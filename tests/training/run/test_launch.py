"""`gpt train --nproc`: how the launcher ends is how its ranks ended, also where a signal ended them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.faults.launch import ROOT, records

PROCESSES = Path("/proc")


def children(pid: int) -> list[int]:
    return [int(child) for child in (PROCESSES / f"{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]


def wait_for(there: Callable[[], object], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not there():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(not (PROCESSES / "self/task").exists(), reason="no /proc to look for the ranks in")
@pytest.mark.parametrize(("begun", "number"), [(True, signal.SIGQUIT), (False, signal.SIGTERM)])
def test_after_a_signal_the_status_says_whether_the_ranks_have_saved(
    arguments: list[str], tmp_path: Path, begun: bool, number: signal.Signals
) -> None:
    words = [*arguments, "--run.name", "run", "--steps", "100000", "--run.eval-every", "0", "--run.sample-every", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "gpt_from_scratch", "train", "--nproc", "2", *words],
        cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS="1", TMPDIR=str(tmp_path)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    run = tmp_path / "runs" / "run"
    try:
        if begun:
            wait_for(lambda: any(line["kind"] == "train" for line in records(run)), process)
        else:
            wait_for(lambda: len(children(process.pid)) >= 2, process)
        process.send_signal(number)
        _, said = process.communicate(timeout=240)
    finally:
        process.kill()
    assert "Traceback" not in said
    if begun:
        assert process.returncode == 0 and list((run / "checkpoints").glob("step-*"))
        assert f"stopped by {number.name} and saved" in records(run)[-1]["message"]
    else:
        assert process.returncode == 128 + number and not run.exists()
        assert f"gpt train: stopped by {number.name}; 0 of 2 ranks" in said
    assert not list(tmp_path.glob("gpt-ranks-*"))


@pytest.mark.skipif(not (PROCESSES / "self/task").exists(), reason="no /proc to look for the ranks in")
def test_ranks_do_not_outlive_their_launcher(arguments: list[str], tmp_path: Path) -> None:
    """As after a signal at the moment when torch's launcher starts them, which it then forgets."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gpt_from_scratch", "train", "--nproc", "2", *arguments, "--run.name", "run"],
        cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS="1", TMPDIR=str(tmp_path)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: len(children(process.pid)) >= 2, process)
    finally:
        process.kill()
    _, said = process.communicate(timeout=60)  # its end is the ranks': they write to the same pipe
    assert "Traceback" not in said and not (tmp_path / "runs" / "run" / "checkpoints").exists()
