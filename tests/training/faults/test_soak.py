"""Ten minutes with a kill a minute."""

import subprocess
import sys

import pytest

from tests.training.faults.launch import ROOT


@pytest.mark.torture
@pytest.mark.timeout(2400)
def test_soak() -> None:
    subprocess.run([sys.executable, "-m", "tests.training.faults.soak", "--write"], cwd=ROOT, check=True)
