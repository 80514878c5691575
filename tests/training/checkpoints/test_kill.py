"""kill -9 during a save; the script does it at a few moments here, and at hundreds by hand or under `make torture`."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.faults.launch import publish

ROOT = Path(__file__).parents[3]


def test_killed_saves_leave_the_last_whole_checkpoint() -> None:
    command = [sys.executable, "-m", "tests.training.checkpoints.killed_saves", "--points", "10"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " of 10 lives killed " in result.stdout and not result.stdout.startswith("0 ")


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_240_killed_saves_leave_the_last_whole_checkpoint() -> None:
    module = "tests.training.checkpoints.killed_saves"
    command = [sys.executable, "-m", module, "--points", "240", "--seed", "2"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    how = (
        "Half of the kills are at chosen calls (each open, mkdir, rename, remove and rmtree that Python audits, evenly spread\n"
        "over a life), half at random instants from outside; about half of the lives save asynchronously. After each, all of\n"
        "the newest checkpoint is compared with what it must be."
    )
    publish(
        "killed_saves", "kill -9 during a save", f"python -m {module} --points 240 --seed 2", f"    {printed}\n{how}"
    )


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_how_long_a_save_holds_training_up() -> None:
    module = "gpt_from_scratch.benchmarks.cpu.checkpoint_stall"
    printed = subprocess.run(
        [sys.executable, "-m", module], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    publish("checkpoint_stall", "How long a save holds training up", f"python -m {module}", f"```text\n{printed}```")
