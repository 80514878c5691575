"""The way of a run's settings through the code is short, and CONTRIBUTING.md draws it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_FILES = 20
SMALL = (
    "tiny --model.n-layer 1 --model.n-head 2 --model.n-embd 16 --model.block-size 800 --data.n-stories 30 "
    "--data.n-validation 3 --data.vocab-size 300 --batch-size 2 --steps 2 --device cpu"
)


@pytest.fixture(scope="module")
def files() -> list[str]:
    """Measured in a process of its own, without the tests' shape checks."""
    command = [sys.executable, "-m", "tests.house.settings_trip", *SMALL.split()]
    made = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [line for line in made.stdout.splitlines() if re.fullmatch(r"[\w/]+\.py", line)]


def test_the_way_from_the_command_line_to_the_first_step_is_short(files: list[str]) -> None:
    assert len(files) <= MOST_FILES, f"the settings pass {len(files)} files: {', '.join(files)}"


def test_the_way_is_measured_from_end_to_end(files: list[str]) -> None:
    stops = ["train_gpt2", "run/command_line", "run/session", "data/building", "optim/optimizers", "run/trainer"]
    places = [files.index(f"training/{stop}.py") for stop in stops]
    assert places == sorted(places)
    assert "training/optim/schedule.py" in files, "the first step asks it for its rate"


def test_the_guide_draws_the_way(files: list[str]) -> None:
    """Whoever sends the settings to another file draws it there, or finds a shorter way."""
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    drawn = guide.partition("**Path of the settings.**")[2].partition("\n**")[0]
    missing = [file for file in files if Path(file).name.removesuffix(".py") not in re.findall(r"\w+", drawn)]
    assert drawn and not missing, f"CONTRIBUTING.md does not draw {', '.join(missing)}"
