"""Real set-ups by the script behind `make`, in a small project whose torch, gpt and pytest are stand-ins.

Everything else is real: venv, pip (without an index), processes and signals. One venv is shared, since making one
takes seconds; each test begins by calling the script, which puts right whatever the test before it left.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "support" / "bootstrap.py"

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "gpt_from_scratch"
version = "0.1.0"
"""

BACKEND = '''
"""Builds the project's wheel with the standard library, as slowly as the file `slow` asks."""
import pathlib, time, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    while pathlib.Path("slow").exists():
        pathlib.Path("begun").touch()
        time.sleep(0.01)
    name = "gpt_from_scratch-0.1.0-py3-none-any.whl"
    info = "gpt_from_scratch-0.1.0.dist-info/"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as wheel:
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: gpt_from_scratch\\nVersion: 0.1.0\\n"
                       "Provides-Extra: test\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return name
'''

TELL = "import json, os, sys\nprint(json.dumps([sys.argv[1:], os.getcwd(), os.environ['VIRTUAL_ENV'], sys.prefix]))\n"


class Project:
    """A copy of the script in a project of its own, and how to call it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.venv = root / ".venv"
        (root / "support").mkdir(parents=True)
        shutil.copy(SCRIPT, root / "support")
        (root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
        (root / "setup.py").touch()
        (root / "constraints.txt").touch()
        (root / "backend.py").write_text(BACKEND, encoding="utf-8")
        (root / "pytest.py").write_text(f"{TELL}sys.exit(7)\n", encoding="utf-8")
        (root / "wheels").mkdir()
        info = "torch-2.13.0.dist-info/"
        with zipfile.ZipFile(root / "wheels" / "torch-2.13.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("torch/__init__.py", "")
            wheel.writestr("torch/run.py", f"def main():\n    {TELL.replace(chr(10), chr(10) + '    ')}\n")
            wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0\n")
            wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(info + "entry_points.txt", "[console_scripts]\ngpt = torch.run:main\n")
            wheel.writestr(info + "RECORD", "")

    def start(self, *words: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "GPT_"))}
        environment |= {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": (self.root / "wheels").as_uri(),
        }
        return subprocess.Popen(
            [sys.executable, self.root / "support" / "bootstrap.py", "--torch", "default", *words],
            env=environment,
            cwd=self.root.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *words: str) -> tuple[int, str, str]:
        """The exit status, stdout and stderr of the script."""
        with self.start(*words) as process:
            out, err = process.communicate()
        return process.returncode, out, err

    @property
    def stamp(self) -> dict[str, object]:
        stamp = json.loads((self.venv / "gpt_from_scratch.json").read_text(encoding="utf-8"))
        assert isinstance(stamp, dict)
        return stamp

    def change_pyproject(self) -> None:
        with (self.root / "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write(f"# {time.time_ns()}\n")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("bootstrap") / "a folder")


def test_the_first_call_sets_up_and_later_ones_only_run(project: Project) -> None:
    status, out, err = project.call("test", "-k", "some")
    assert status == 7  # the target's own
    given, *where = json.loads(out)
    assert given[-2:] == ["-k", "some"] and where == [str(project.root), str(project.venv), str(project.venv)]
    assert "to download: about" in err and "done: .venv is ready" in err
    assert "Collecting" not in err and len(err.splitlines()) <= 6, err  # pip's own words are in a file
    assert "Successfully installed" in (project.root / ".cache" / "setup.log").read_text(encoding="utf-8")
    assert project.stamp["finished"] is True and project.stamp["extra"] == "test"
    assert (project.root / ".types" / "gpt_from_scratch").resolve() == project.root
    assert project.call("test", "-k", "some") == (7, out, "")


def test_what_serves_the_tests_serves_training(project: Project) -> None:
    project.call("setup")
    status, out, err = project.call("train", "--steps", "50")
    assert (status, err) == (0, "")
    assert json.loads(out)[:2] == [
        ["train", "--steps", "50"],
        str(project.root),
    ]


def test_signals_reach_the_target(project: Project) -> None:
    project.call("setup")
    for number in (signal.SIGINT, signal.SIGTERM):
        with project.start("run", "--", "sh", "-c", "echo $$; exec sleep 60") as process:
            assert process.stdout is not None
            assert int(process.stdout.readline()) == process.pid  # the very same process
            process.send_signal(number)
            assert process.wait() == -number


def test_run_tells_what_cannot_run(project: Project) -> None:
    project.call("setup")
    status, _, err = project.call("run", "--", "no-such-program")
    assert status == 127 and "cannot run no-such-program" in err


def test_a_changed_pyproject_installs_again_into_the_same_venv(project: Project) -> None:
    project.call("setup")
    (project.venv / "mine").touch()
    project.change_pyproject()
    status, _, err = project.call("train")
    assert status == 0 and "setting up" in err and "removing" not in err
    assert (project.venv / "mine").exists()
    assert project.stamp["extra"] == "test"  # training alone does not take the tests' packages away


def test_a_failed_update_leaves_what_was_there(project: Project) -> None:
    project.call("setup")
    before = project.stamp
    good = (project.root / "pyproject.toml").read_text(encoding="utf-8")
    (project.root / "pyproject.toml").write_text(
        good.replace("requires = []", 'requires = ["absent"]'), encoding="utf-8"
    )
    status, _, err = project.call("test")
    (project.root / "pyproject.toml").write_text(good, encoding="utf-8")
    assert status == 1 and "this step failed" in err and "Traceback" not in err
    assert "ERROR: No matching distribution found for absent" in err and "setup.log" in err
    assert project.stamp == before
    assert project.call("test")[::2] == (7, "")


def test_a_venv_made_by_hand_is_completed_not_removed(project: Project) -> None:
    project.call("setup")
    (project.venv / "gpt_from_scratch.json").unlink()
    (project.venv / "mine").touch()
    _, _, err = project.call("setup")
    assert (project.venv / "mine").exists() and "removing" not in err
    assert project.stamp["finished"] is True


def test_an_interrupted_set_up_is_started_afresh_by_one_of_two_calls(project: Project) -> None:
    project.call("setup")
    (project.venv / "bin" / "python").unlink()  # broken: it has to be made anew
    (project.root / "slow").touch()
    with project.start("test") as process:
        while not (project.root / "begun").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.terminate()
        assert process.wait() == 128 + signal.SIGTERM
        assert process.stderr is not None and "removing the half-made or outdated .venv" in process.stderr.read()
    (project.root / "slow").unlink()
    assert project.stamp["finished"] is False
    (project.venv / "half").touch()

    processes = [project.start("test") for _ in range(2)]
    errors = "".join(process.communicate()[1] for process in processes)
    assert [process.returncode for process in processes] == [7, 7]
    assert errors.count("removing the half-made") == errors.count("setting up") == 1
    assert not (project.venv / "half").exists()
    assert project.call("test")[::2] == (7, "")


def test_clean_keeps_runs_and_data(project: Project) -> None:
    project.call("setup")
    for path in ("runs/1/__pycache__", "data/__pycache__", "tests/a/__pycache__", ".cache/mypy"):
        (project.root / path).mkdir(parents=True, exist_ok=True)
    assert project.call("clean")[0] == 0
    for path in (".venv", ".types", "tests/a/__pycache__", ".cache/mypy"):
        assert not (project.root / path).exists()
    assert (project.root / "runs/1/__pycache__").exists() and (project.root / "data/__pycache__").exists()
    assert project.call("clean")[0] == 0
