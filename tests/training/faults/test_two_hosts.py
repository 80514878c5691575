"""Two hosts as network namespaces; one is cut off and comes back."""

import os
import subprocess
import sys

import pytest

from tests.training.faults.launch import ROOT


@pytest.mark.torture
@pytest.mark.timeout(900)
def test_a_host_is_cut_off_and_comes_back() -> None:
    if os.geteuid() != 0:
        pytest.skip("no root, which network namespaces need")
    subprocess.run([sys.executable, "-m", "tests.training.faults.two_hosts", "--write"], cwd=ROOT, check=True)
