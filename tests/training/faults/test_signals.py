"""SIGTERM in every phase, at full count."""

import subprocess
import sys

import pytest

from tests.training.faults.launch import ROOT


@pytest.mark.torture
@pytest.mark.timeout(1800)
def test_twenty_one_signals() -> None:
    subprocess.run([sys.executable, "-m", "tests.training.faults.signals", "--write"], cwd=ROOT, check=True)
