"""A real torchrun restarts a run whose rank was killed or frozen; the full count is under torture."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.faults import restarts
from tests.training.faults.launch import ROOT


def test_torchrun_restarts_and_the_run_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    table = restarts.prove(tmp_path, kills=1, freezes=1, seed=1, beside=True)
    assert "2 of 2" in table


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_twenty_restarts() -> None:
    command = [sys.executable, "-m", "tests.training.faults.restarts", "--write"]
    subprocess.run(command, cwd=ROOT, check=True)
