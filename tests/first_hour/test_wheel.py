"""A wheel that was installed outside the clone: `gpt` works and `tiny` trains."""

import os
import shutil
import site
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import pytest

from tests.house.test_public_names import SCRIPT

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.harness, pytest.mark.timeout(900)]


class Installed:
    """An environment with the wheel, in a folder far from the clone; what it needs is this environment's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sources = folder / "sources"
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file():
                (sources / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, sources / name)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder / "dist", sources], check=True)
        shutil.rmtree(sources)  # nothing can be read from there any more
        self.wheel = next((folder / "dist").glob("provengpt-*.whl"))
        venv.create(folder / "venv", symlinks=True)
        self.python = folder / "venv" / "bin" / "python"
        packages = next((folder / "venv" / "lib").glob("python*/site-packages"))
        # A folder that a .pth file names is searched last, and its own .pth files, such as an editable install's, do nothing.
        (packages / "needed.pth").write_text("\n".join(site.getsitepackages()) + "\n", encoding="utf-8")
        subprocess.run([*pip, "--python", self.python, "install", "--no-deps", "--no-index", self.wheel], check=True)
        self.packages = packages
        (folder / "elsewhere").mkdir()

    def run(self, *words: str | Path) -> str:
        """What a command prints; it must end with 0."""
        path = f"{self.python.parent}{os.pathsep}{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GPT_"))}
        done = subprocess.run(
            list(map(str, words)),
            cwd=self.folder / "elsewhere",
            env={**kept, "PATH": path, "VIRTUAL_ENV": str(self.folder / "venv")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("wheel"))


def test_it_is_the_wheel_that_is_used(installed: Installed) -> None:
    where = installed.run(
        installed.python,
        "-c",
        "import gpt_from_scratch.models.gpt as m, gpt_from_scratch.support as s; print(m.__file__)",
    )
    assert Path(where.strip()).is_relative_to(installed.packages)
    for folder in ("kernels", "models", "tokenizer", "evals", "training", "support"):
        assert (installed.packages / "gpt_from_scratch" / folder / "py.typed").is_file(), folder


def test_tiny_trains_and_the_commands_work(installed: Installed) -> None:
    few = ["--data.n-stories", "300", "--data.n-validation", "20", "--run.n-final-samples", "1"]
    said = installed.run("gpt", "train", "tiny", "--steps", "3", "--out", "runs/first", "--backend", "torch", *few)
    assert "done: 3 steps" in said
    written = installed.run("gpt", "generate", "runs/first", "--num", "1", "--max-tokens", "5", "--prompt", "Once")
    assert written.startswith("Once")
    assert "attention" in installed.run("gpt", "kernels") and "torch" in installed.run("gpt", "doctor")
    assert installed.run("gpt", "--version").startswith("gpt (provengpt) ")
    assert "serve" in installed.run("gpt", "--help")


CHECKERS = {
    "mypy": ("-m", "mypy", "--strict", "--follow-imports", "silent", "--ignore-missing-imports", "--python-executable"),
    "pyright": ("-m", "pyright", "--pythonpath"),
}


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_users_script_is_typed_by_the_wheel(checker: str, installed: Installed) -> None:
    if checker == "pyright" and shutil.which("node") is None:
        pytest.skip("no node: pyright needs it")
    script, folder = textwrap.dedent(SCRIPT), installed.folder / "elsewhere"
    (folder / "mine.py").write_text(script, encoding="utf-8")
    (folder / "wrong.py").write_text(script.replace("text: str", "text: int"), encoding="utf-8")
    for name, status in (("mine.py", 0), ("wrong.py", 1)):
        words = [sys.executable, *CHECKERS[checker], str(installed.python), name]
        run = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        assert run.returncode == status, run.stdout + run.stderr
    assert '"int"' in run.stdout, run.stdout
