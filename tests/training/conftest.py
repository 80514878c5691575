"""A run so small that a test can afford several: one layer, sixteen wide, characters."""

import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpt_from_scratch.kernels.backends import in_force, put_in_force
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run.command_line import parse
from tests.training.trained import train

SENTENCES = ("the cat sat on the mat. ", "a dog ran after the cat. ", "the mat was red, the dog was not. ")
SMALL = shlex.split(
    "tiny --model.n-layer 1 --model.n-head 2 --model.n-embd 16 --model.block-size 16 --data.tokenizer character "
    "--steps 12 --batch-size 4 --run.log-every 3 --run.eval-every 4 --run.eval-first --run.sample-every 6 "
    "--run.checkpoint-every 4 --run.n-samples 1 --run.n-final-samples 2 --run.sample-tokens 8 --device cpu"
)


@pytest.fixture(autouse=True)
def _own_backends() -> Iterator[None]:
    """A run decides the process's backends; each test begins without a decision."""
    before = in_force()
    yield
    put_in_force(before)


@pytest.fixture(autouse=True)
def _no_report(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than such a run; the report has tests of its own, and one run here draws it."""
    if request.node.get_closest_marker("report") is None:
        monkeypatch.setattr(
            "gpt_from_scratch.training.report.page.write_report", lambda folders: folders[0] / "report.html"
        )


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("".join(SENTENCES[i * i % 3] for i in range(60)), encoding="utf-8")
    return path


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """A HellaSwag of five questions, in the letters of `text_file`."""
    rows = [
        {
            "ind": n,
            "activity_label": "cats",
            "ctx_a": ctx,
            "ctx_b": "",
            "ctx": ctx,
            "endings": ["sat on the mat.", "tas no eht tam.", "mmmmmm.", "dog ran on the."],
            "label": n % 4,
        }
        for n, ctx in enumerate(["the cat", "a dog", "the mat on a dog", "the mat", "after the cat"])
    ]
    path = tmp_path / "hellaswag_val.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def arguments(tmp_path: Path, text_file: Path) -> list[str]:
    """The command line of a small run, into tmp_path/runs."""
    return [*SMALL, "--data.path", str(text_file), "--run.folder", str(tmp_path / "runs")]


@pytest.fixture
def run(arguments: list[str], tmp_path: Path) -> Callable[..., Path]:
    """Train in this process: `run("name", "--steps", "3")` gives the run's folder."""

    def start(name: str, *more: str) -> Path:
        train(parse([*arguments, "--run.name", name, *more]), Ranks())
        return tmp_path / "runs" / name

    return start
