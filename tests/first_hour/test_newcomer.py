"""A newcomer in a fresh clone with an empty home: `make train`, then every line that was printed as a next step, pasted."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(900)


class Newcomer:
    """A shell in a fresh clone; nothing of this environment is in it but the settings of pip."""

    def __init__(self, folder: Path) -> None:
        self.clone = folder / "a clone"
        (folder / "home").mkdir()
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, self.clone], check=True)
        venv = os.environ.get("VIRTUAL_ENV", "")
        path = [part for part in os.environ["PATH"].split(os.pathsep) if not venv or not part.startswith(venv)]
        kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "LANG", "LC_"))}
        self.environment = {**kept, "HOME": str(folder / "home"), "PATH": os.pathsep.join(path), "TERM": "dumb"}

    def paste(self, line: str) -> str:
        """What a line prints; it must end with 0."""
        run = subprocess.run(
            line, shell=True, cwd=self.clone, env=self.environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, f"{line}\nended with {run.returncode}:\n{run.stdout[-3000:]}\n{run.stderr[-3000:]}"
        assert "Traceback" not in run.stderr, run.stderr
        return run.stdout


def next_steps(printed: str) -> list[str]:
    """The lines that a run ends with."""
    return [line.strip() for line in printed.partition("\ntry next\n")[2].splitlines() if line.strip()]


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    yield Newcomer(tmp_path_factory.mktemp("newcomer"))


@pytest.fixture(scope="module")
def printed(newcomer: Newcomer) -> str:
    return newcomer.paste('make train ARGS="--steps 20 --run.n-samples 1 --run.n-final-samples 8"')


@pytest.mark.harness
def test_training_says_what_was_learned_and_where_it_is(printed: str) -> None:
    assert re.search(r"^done: 20 steps in ", printed, flags=re.M)
    for name in ("report", "checkpoint", "metrics"):
        assert re.search(rf"^{name} +runs/tiny-", printed, flags=re.M)


@pytest.mark.harness
def test_every_printed_next_step_works(newcomer: Newcomer, printed: str) -> None:
    lines = next_steps(printed)
    assert len(lines) >= 3 and all(line.startswith(".venv/bin/gpt ") for line in lines), lines
    said = {line: newcomer.paste(line) for line in lines}
    written = next(text for line, text in said.items() if " generate " in line)
    assert "Once upon a time" in written
    assert any((newcomer.clone / line.split()[-1] / "report.html").exists() for line in lines if " report " in line)


@pytest.mark.harness
def test_one_test_runs(newcomer: Newcomer, printed: str) -> None:
    assert " passed" in newcomer.paste('make test ARGS="tests/support/test_visible.py -n 0"')


@pytest.mark.harness
def test_the_doctor_finds_this_machine(newcomer: Newcomer, printed: str) -> None:
    assert "torch" in newcomer.paste(".venv/bin/gpt doctor")


@pytest.mark.harness
def test_an_activated_environment_prints_short_commands(newcomer: Newcomer, printed: str) -> None:
    assert "next: gpt train" in newcomer.paste(". .venv/bin/activate && gpt doctor")


README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.docs
def test_every_command_of_the_readme_works(newcomer: Newcomer, printed: str) -> None:
    block = re.findall(r"^```sh\n(.*?)^```", README, flags=re.M | re.S)
    lines = [line.partition("  # ")[0].strip() for text in block for line in text.splitlines()]
    assert lines[0] == ". .venv/bin/activate" and len(lines) >= 8
    said = {line: newcomer.paste(f"{lines[0]} && {line}") for line in lines[1:]}
    steps = {line: next_steps(text) for line, text in said.items() if "\ndone: " in text}
    assert len(steps) >= 2 and not any("--resume" in step for found in steps.values() for step in found)
    own = next(found for line, found in steps.items() if " --data " in line)
    assert not any("Once upon a time" in step for step in own) and any("--config" in step for step in own)
    for step in own:  # those of a run on stories are tested above
        assert step.startswith("gpt ")
        newcomer.paste(f"{lines[0]} && {step}")


@pytest.mark.docs
def test_every_program_of_the_readme_works(newcomer: Newcomer, printed: str) -> None:
    programs = re.findall(r"^```python\n(.*?)^```", README, flags=re.M | re.S)
    assert programs
    for program in programs:
        (newcomer.clone / "pasted.py").write_text(program, encoding="utf-8")
        newcomer.paste(".venv/bin/python pasted.py")
