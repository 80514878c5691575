"""A real torchrun restarts a run whose rank was killed or frozen; the full count is under torture."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.faults import restarts
from tests.training.faults.launch import ROOT, TINY, Job, children, losses, records, text_file


def test_torchrun_restarts_and_the_run_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    table = restarts.prove(tmp_path, kills=1, freezes=1, seed=1, beside=True)
    assert "2 of 2" in table


WRAPPER = """#!/bin/sh
# Without exec, as such scripts often are: Python is not torchrun's child, but its grandchild.
( "$PYTHON" training/train_gpt2.py "$@" )
exit $?
"""


def test_a_wrapper_between_torchrun_and_python_changes_nothing(tmp_path: Path) -> None:
    """A killed rank comes back in its run's folder, though the run has no name, and the job is torchrun's default one."""
    wrapper = tmp_path / "wrapper.sh"
    wrapper.write_text(WRAPPER, encoding="utf-8")
    wrapper.chmod(0o755)
    arguments = [*TINY, "--data.path", str(text_file(tmp_path / "text.txt")), "--steps", "80"]
    arguments += ["--run.folder", str(tmp_path / "runs")]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    job = Job(
        arguments,
        tmp_path / "out.txt",
        launch=["--no-python", "--max-restarts=1", f"--master-port={port}"],
        script=str(wrapper),
        PYTHON=sys.executable,
    )
    try:
        folder = job.wait_for(lambda: next((tmp_path / "runs").glob("*/metrics.jsonl"), None)).parent
        job.wait_for(lambda: next((folder / "checkpoints").glob("step-*"), None))
        process = job.workers()[0]
        while below := children(process):
            process = below[0]
        os.kill(process, signal.SIGKILL)
        job.finish()
    finally:
        job.end()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [folder.name]
    assert any(line["kind"] == "event" and "resumed at step" in line["message"] for line in records(folder))
    assert sorted(losses(folder)) == list(range(1, 81))


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_twenty_restarts() -> None:
    command = [sys.executable, "-m", "tests.training.faults.restarts", "--write"]
    subprocess.run(command, cwd=ROOT, check=True)
