"""Every command and every Python program of the documentation, run as a reader pastes it, page by page from top to bottom.

What trains or learns gets the settings of something very small behind those of the page: a reader waits, this test cannot.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import NEEDS, PAGES, ROOT, RUN, blocks, fits, name_of

pytestmark = [pytest.mark.docs, pytest.mark.timeout(600)]
NOT_HERE = {*NEEDS, "first-hour"}
PAGES_THAT_RUN = [  # tests/first_hour runs the README's, in a fresh clone
    page for page in PAGES[1:] if any(block.language in RUN and block.mark not in NOT_HERE for block in blocks(page))
]


TRAINING = re.compile(
    r"^((?:gpt train|torchrun training/train_gpt2\.py)\b(?!.*--(?:help|resume runs|dry-run))[^#\n]*)", re.M
)
FEW, STORIES = "--run.n-final-samples 1 --batch-size 4", "--data.n-stories 300 --data.n-validation 20"
LEARNING, SHORT = re.compile(r"^(gpt learn features\b[^#\n]*)", re.M), "--num 3000 --sae.steps 30 --n-shown 5"
SIZES = "--model.n-layer 1 --model.n-head 2 --model.n-embd 32 --model.block-size 64"


def small(script: str) -> str:
    """The script with small runs and few steps of learning; a run that begins from another's model keeps its sizes."""

    def more(match: re.Match[str]) -> str:
        line = match[1].rstrip()
        backend = "" if "--backend" in line else "--backend torch"  # timing them all takes half a minute
        stories, sizes = "" if "--data " in line else STORIES, "" if "--init-from" in line else SIZES
        return f"{line} {FEW} {backend} {stories} {sizes} "

    return LEARNING.sub(rf"\1 {SHORT} ", TRAINING.sub(more, script))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator["Reader"]:
    yield Reader(tmp_path)


class Reader:
    """A shell in a copy of this tree, with its environment active."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "clone"
        names = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for name in names:
            if (ROOT / name).is_file():
                (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.clone / name)
        (self.clone / ".types").mkdir()
        (self.clone / ".types" / "gpt_from_scratch").symlink_to("..")
        binaries = str(Path(sys.executable).parent)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GPT_"))}
        self.environment = {
            **kept,
            "PATH": f"{binaries}{os.pathsep}{kept['PATH']}",
            "VIRTUAL_ENV": str(Path(binaries).parent),
            "PYTHONPATH": str(self.clone / ".types"),
            "COLUMNS": "160",
            "TERM": "dumb",
            "BROWSER": "true",  # the program that does nothing
            "OMP_NUM_THREADS": "1",  # other pages run beside this one
        }

    def run(self, command: str | list[str]) -> list[str]:
        """The lines that a command prints; it must end with 0."""
        run = subprocess.run(
            command if isinstance(command, list) else ["bash", "-e", "-o", "pipefail", "-c", small(command)],
            cwd=self.clone,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, (
            f"{command}\nended with {run.returncode}:\n{run.stdout[-2000:]}\n{run.stderr[-2000:]}"
        )
        assert "Traceback" not in run.stderr, run.stderr
        return run.stdout.splitlines()

    def serve(self, command: str) -> None:
        """Start a command that serves, wait until it says where, and end it with Ctrl-C."""
        with subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.clone,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if "http://" in line:
                    break
            process.send_signal(signal.SIGINT)
            said += process.stdout.readlines()
        assert any("http://" in line for line in said), said
        assert process.returncode in (0, 130), said


@pytest.mark.parametrize("page", PAGES_THAT_RUN, ids=name_of)
def test_what_a_page_shows_works(page: Path, reader: Reader) -> None:
    for number, block in enumerate(blocks(page)):
        if block.language not in RUN or block.mark in NOT_HERE:
            continue
        if block.file:
            (reader.clone / block.file).write_text(block.body, encoding="utf-8")
            continue
        if block.language == "python":
            file = reader.clone / f"pasted_{number}.py"
            file.write_text(block.body, encoding="utf-8")
            reader.run([sys.executable, file.name])
            continue
        for command, shown in block.commands:
            if block.mark == "server":
                reader.serve(command)
                continue
            printed = reader.run(command)
            if shown:
                assert fits(printed, shown), f"{command}\nprints\n" + "\n".join(printed)
