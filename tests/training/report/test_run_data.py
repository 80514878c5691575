"""The data that a report reads of a run's folder: damaged lines, missing files, and lines that a resume has undone."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.training.commands.report import main
from gpt_from_scratch.training.metrics.history import STARTED_AGAIN, history, resumed_at
from gpt_from_scratch.training.metrics.kinds import parse
from gpt_from_scratch.training.metrics.records.eval import Eval
from gpt_from_scratch.training.metrics.records.event import Event
from gpt_from_scratch.training.metrics.records.sample import SampleRecord
from gpt_from_scratch.training.metrics.records.train import Train
from gpt_from_scratch.training.report.page import write_report
from gpt_from_scratch.training.report.run_data import read_run
from tests.training.report.run_folders import evaluation, event, make_run, sample, text_of, train


def test_damaged_lines_are_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "first", [train(1), event(1, "resumed")])
    bad = [
        b'{"kind": "train", "step": 41, "lo',
        b"\xff\xfe",
        b"[1, 2]",
        b'{"kind": "validation", "step": 1}',
        json.dumps(train(41) | {"step": -1}).encode(),
        json.dumps(train(41) | {"step": True}).encode(),
        json.dumps(train(41) | {"lr": "fast"}).encode(),
        json.dumps(evaluation(41) | {"ratio": 10**400}).encode(),
        b'{"kind": "event", "step": 1}',
        b"[" * 100_000,
    ]
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b"\n".join(bad))
    found = read_run(run)
    assert len(found.records) == 2
    assert len(found.warnings) == len(bad)
    for number, (warning, expected) in enumerate(
        zip(
            found.warnings,
            (
                "Unterminated string",
                "utf-8",
                "it holds a list, expected an object",
                "its kind is 'validation', expected one of eval, event, hellaswag, sample, source_eval, train",
                "step is -1",
                "step is True, expected int",
                "lr is 'fast', expected float",
                "too large",
                "message is None, expected str",
                "recursion",
            ),
            strict=True,
        ),
        start=3,
    ):
        assert warning.startswith(f"metrics.jsonl, line {number}, is left out: ")
        assert expected in warning
    main([str(run)])
    printed = capsys.readouterr()
    assert printed.out == f"{run / 'report.html'}\n"
    assert len(printed.err.splitlines()) == len(bad)
    assert "metrics.jsonl, line 3, is left out" in text_of(run / "report.html")


def test_a_run_without_measurements_is_drawn_with_a_warning(tmp_path: Path) -> None:
    said = text_of(write_report([make_run(tmp_path / "young", [])]))
    assert "metrics.jsonl has no record yet" in said
    assert "Curves" not in said


def test_missing_and_damaged_descriptions_are_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "first", [event(1, "resumed")])
    (run / "config.json").write_text("{")
    (run / "run.json").unlink()
    found = read_run(run)
    assert [warning.split(":")[0] for warning in found.warnings] == ["config.json is damaged", "run.json is missing"]
    assert "run.json is missing" in text_of(write_report([run]))
    (run / "run.json").write_text("[]")
    assert "run.json is damaged: it holds a list, expected an object" in read_run(run).warnings


def test_values_of_unexpected_types_in_the_description_do_no_harm(tmp_path: Path) -> None:
    odd = {
        "name": 3,
        "parameters": "many",
        "backends": [1],
        "floor_nats_per_token": [],
        "seconds": "long",
        "command": None,
    }
    assert "float32" in text_of(write_report([make_run(tmp_path / "odd", [train(1)], **odd)]))


@pytest.mark.parametrize("loss", [None, float("nan"), float("inf"), 0.0, -1.0])
def test_a_loss_that_is_no_number_leaves_a_gap(tmp_path: Path, loss: float | None) -> None:
    page = write_report([make_run(tmp_path / "first", [train(1), train(2, loss), train(3)])])
    assert "<svg" in page.read_text()


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("file")])
def test_what_is_no_run_is_refused(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"is not a (run|folder)"):
        write_report([tmp_path / "none"])
    with pytest.raises((OSError, ValueError), match=r".*none is not a (run|folder)"):
        main([str(tmp_path / "none")])


def test_no_run_is_refused() -> None:
    with pytest.raises(ValueError, match="no run was given"):
        write_report([])


def test_lines_that_a_resume_has_undone_do_not_count() -> None:
    """Logged again or not; one that did not say from where it went on is known by the first step that it repeats."""
    first = [train(1), train(2), evaluation(2, 0.9), sample(2, "old"), event(2, "interrupted"), train(3, 9.0)]
    first += [evaluation(4, 0.1), sample(3, "gone")]
    again = [train(2, 5.0), evaluation(2, 0.8), sample(2, "new"), sample(2, "newer")]
    for note in ([event(1, resumed_at(1))], []):
        found = history(map(parse, [*first, *note, *again]))
        assert [(record.step, record.loss) for record in found.records if isinstance(record, Train)] == [
            (1, 1.0),
            (2, 5.0),
        ]
        assert [record.loss for record in found.records if isinstance(record, Eval)] == [0.8]
        assert [record.text for record in found.records if isinstance(record, SampleRecord)] == ["new", "newer"]
        messages = [record.message for record in found.records if isinstance(record, Event)]
        assert messages == ["interrupted", *(str(one["message"]) for one in note)]
        assert (found.restarts, found.just_went_back) == (1, True)


def test_a_run_that_only_went_on_has_lost_nothing() -> None:
    lines = [train(1), train(2), evaluation(2, 0.9), sample(2, "a"), event(2, "resumed at step 2")]
    lines += [evaluation(2, 0.9), sample(2, "a"), train(3)]
    found = history(map(parse, lines))
    assert [(type(record), record.step) for record in found.records] == [
        (Train, 1),
        (Train, 2),
        (Event, 2),
        (Eval, 2),
        (SampleRecord, 2),
        (Train, 3),
    ]
    assert (found.restarts, found.just_went_back) == (0, False)


@given(st.lists(st.integers(0, 12), max_size=6), st.integers(1, 5), st.booleans())
def test_any_history_is_that_of_a_run_that_never_went_back(back: list[int], every: int, said: bool) -> None:
    """A simulated run, which is killed somewhere and goes on from its newest checkpoint, again and again."""
    lines: list[dict[str, object]] = []
    begin = 0
    for attempt, stop in enumerate([*back, 12]):
        if attempt and said:
            lines.append(event(begin, resumed_at(begin) if begin else STARTED_AGAIN))
        for step in range(begin, max(stop, begin) + 1):
            if step > begin:
                lines.append(train(step, float(attempt)))
            if step % 2 == 0:
                lines.append(evaluation(step, float(attempt)))
        begin = max(begin, max(stop, begin) // every * every)
    found = history(map(parse, lines)).records
    trained = [record.step for record in found if isinstance(record, Train)]
    evaluated = [record.step for record in found if isinstance(record, Eval)]
    assert trained == sorted(set(trained)) and evaluated == sorted(set(evaluated))
    last = {line["step"]: line["loss"] for line in lines if line["kind"] == "train"}
    assert all(record.loss == last[record.step] for record in found if isinstance(record, Train))
    assert trained == list(range(1, max(last, default=0) + 1))
