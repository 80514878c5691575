"""Text evals: a function of a few lines, or a file of JSON lines, becomes a command."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.evals import __main__, tasks
from gpt_from_scratch.evals.protocol.samples import QA, MCQuestion
from gpt_from_scratch.evals.tasks.run import run, sample_of
from gpt_from_scratch.evals.text_command import task_function

OWN = '''
"""Capitals of the world."""

from gpt_from_scratch.evals.protocol.samples import QA
from gpt_from_scratch.evals.task import Task

CAPITALS = {"France": "Paris", "Italy": "Rome", "Spain": "Madrid"}


def capitals(continent: str = "Europe", polite: bool = False) -> Task:
    """Capitals of countries.

    Args:
        continent: where the countries lie
        polite: whether the question says please
    """
    word = " Please." if polite else ""
    samples = [QA(id=k, body=f"The capital of {k} in {continent}?{word}", ideal_answers=[v]) for k, v in CAPITALS.items()]
    return Task(samples, scorer="includes", label=continent)
'''


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_file_is_an_eval(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"question": f"{n} + {n} =", "answer": 2 * n} for n in range(12)]
    rows += [{"prompt": "Which is a fruit?", "choices": ["stone", "apple", "rain"], "answer": "B"}]
    write(tmp_path / "mine.jsonl", rows)
    assert __main__.main(["run", "mine.jsonl", "--model", "oracle"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("score 1.0000") and "of 13 answers" in said
    folder = Path(said.splitlines()[-1].removeprefix("report: ")).parent
    assert folder.parent == Path("runs/evals") and folder.name.startswith("run-oracle-mine-")
    assert __main__.main(["run", "mine.jsonl", "--model", "echo"]) == 0
    assert capsys.readouterr().out.startswith("score 0.0")
    assert __main__.main(["run", "mine.jsonl", "--model", "oracle", "--few-shot", "3"]) == 0
    assert "of 10 answers" in capsys.readouterr().out


def test_a_function_is_an_eval(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(OWN.strip().splitlines()) <= 30
    (tmp_path / "capitals.py").write_text(OWN)
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path)])
    assert list(__main__.text_evals()) == ["arithmetic", "capitals", "run"]
    options = ["--model", "oracle", "--out", str(tmp_path / "out"), "--continent", "the world", "--polite"]
    assert __main__.main(["capitals", *options]) == 0
    assert "score 1.0000" in capsys.readouterr().out
    record = (tmp_path / "out" / "record.jsonl").read_text()
    assert "The capital of Italy in the world? Please." in record
    with pytest.raises(SystemExit):
        __main__.main(["capitals", "--help"])
    assert "where the countries lie (default: Europe)" in " ".join(capsys.readouterr().out.split())


def test_a_file_without_its_function_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty_one.py").write_text("def other() -> None: ...\n")
    monkeypatch.setattr(tasks, "__path__", [str(tmp_path)])
    with pytest.raises(TypeError, match=r"must define `def empty_one\(\.\.\.\) -> Task`"):
        task_function("empty_one")


@pytest.mark.parametrize(
    ("row", "kind", "right"),
    [
        ({"question": "q", "answer": "a"}, QA, ["a"]),
        ({"input": "q", "target": ["a", "b"]}, QA, ["a", "b"]),
        ({"prompt": "q", "ideal": 4.5}, QA, ["4.5"]),
        ({"question": "q", "choices": ["x", "y"], "answer": 1}, MCQuestion, ["y"]),
        ({"question": "q", "options": ["x", "y"], "answer": "a"}, MCQuestion, ["x"]),
        ({"question": "q", "choices": ["b", "a"], "answer": "a"}, MCQuestion, ["a"]),  # the text before the letter
        ({"question": "q", "choices": [1, 2], "answer": ["2"]}, MCQuestion, ["2"]),
    ],
)
def test_forms_of_a_line(row: dict[str, Any], kind: type, right: list[str]) -> None:
    sample = sample_of(row, "f line 1")
    assert type(sample) is kind
    assert (sample.choices_right if isinstance(sample, MCQuestion) else sample.ideal_answers) == right


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"question": "q"},
        {"answer": "a"},
        {"question": "", "answer": "a"},
        {"question": "q", "prompt": "q", "answer": "a"},
        {"question": "q", "answer": True},
        {"question": "q", "answer": []},
        {"question": "q", "choices": ["x"], "answer": 0},
        {"question": "q", "choices": ["x", "x"], "answer": 0},
        {"question": "q", "choices": ["x", "y"], "answer": 2},
        {"question": "q", "choices": ["x", "y"], "answer": "C"},
        {"question": "q", "choices": "xy", "answer": 0},
    ],
)
def test_a_line_of_another_form_is_named(row: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"mine\.jsonl line 1.*a line is \{"):
        run(write(tmp_path / "mine.jsonl", [row]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["question", "answer", "choices", "id", "x"]), JSON))
def test_any_line_is_a_sample_or_words(row: dict[str, Any]) -> None:
    try:
        sample = sample_of(row, "f line 1")
    except ValueError as error:
        assert "f line 1" in str(error)
    else:
        assert sample.id and sample.body


def test_questions_that_come_again_are_asked_again(tmp_path: Path) -> None:
    task = run(write(tmp_path / "mine.jsonl", [{"question": "q", "answer": "a"}] * 3))
    assert len({sample.id for sample in task.samples}) == 3


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", [{"question": "q", "answer": "a"}])
    with pytest.raises(ValueError, match="there is no scorer 'exakt'; there are auto, exact"):
        run(path, scorer="exakt")
    with pytest.raises(ValueError, match="leave at least one to ask"):
        run(path, few_shot=1)
    with pytest.raises(FileNotFoundError):
        run(tmp_path / "none.jsonl")


@pytest.mark.parametrize("name", __main__.text_evals())
def test_each_eval_tells_its_options(name: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        __main__.main([name, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0 and "of this eval" in said and "%%" not in said
    assert name != "arithmetic" or '"relative" accepts answers within 1 %;' in said


def test_a_run_of_no_questions_is_a_mistake(tmp_path: Path) -> None:
    out = ["--model", "oracle", "--out", str(tmp_path / "out")]
    for words in (["arithmetic", "--num-problems", "0"], ["run", str(write(tmp_path / "none.jsonl", []))]):
        with pytest.raises(ValueError, match="there is no question to ask"):
            __main__.main([*words, *out])
    assert not (tmp_path / "out").exists()


def test_a_cache_that_is_a_file_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    words = ["arithmetic", "--model", "oracle", "--num-problems", "2", "--cache", str(tmp_path / "cache")]
    with pytest.raises(NotADirectoryError, match="the cache is one, of a file for each answer"):
        __main__.main([*words, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
