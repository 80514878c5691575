"""The report: the contract of a run's folder, damaged files, escaping, comparison, and the page in a real browser."""

import json
import re
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
from gpt_from_scratch.training.metrics.records.sample import Sample
from gpt_from_scratch.training.metrics.records.train import Train
from gpt_from_scratch.training.report.figures import POINTS, series
from gpt_from_scratch.training.report.page import write_report
from gpt_from_scratch.training.report.run_data import differences, read_run
from tests.pages.chromium import Tab

CONFIG = {"seed": 1, "model": {"n_layer": 4, "n_embd": 128}, "data": {"source": "stories"}}
FACTS = {
    "name": "first",
    "created": "2026-11-25T17:00:00Z",
    "command": ["torchrun", "training/train_gpt2.py", "--seed", "1"],
    "device": "cpu",
    "dtype": "float32",
    "parameters": 1234567,
    "backends": [{"op": "attention", "backend": "torch", "reason": "fastest of 3"}],
    "versions": {"torch": "2.13.0"},
    "world_size": 1,
    "tokens_per_step": 4096,
    "floor_nats_per_token": 0.33,
    "seconds": 125.0,
    "state": "finished",
}


def train(step: int, loss: float | None = 1.0, lr: float = 0.01) -> dict[str, Any]:
    return {
        "kind": "train",
        "step": step,
        "loss": loss,
        "lr": lr,
        "grad_norm": 0.5,
        "tokens_per_s": 2e4,
        "mfu": None,
        "seconds": step / 7,
    }


def evaluation(step: int, loss: float = 0.5) -> dict[str, Any]:
    ratio = loss / 0.33
    return {
        "kind": "eval",
        "step": step,
        "loss": loss,
        "nats": 1e4 * loss,
        "floor_nats": 3300.0,
        "ratio": ratio,
        "bits_per_byte": 0.2,
        "seconds": 9,
    }


def sample(step: int, text: str, grammatical: bool | None = None, novel: bool | None = None) -> dict[str, Any]:
    return {"kind": "sample", "step": step, "text": text, "prompt": "", "grammatical": grammatical, "novel": novel}


def event(step: int, message: str) -> dict[str, Any]:
    return {"kind": "event", "step": step, "message": message}


def lines() -> list[dict[str, Any]]:
    steps = [train(step, 3 / step + 0.33) for step in range(1, 41)]
    later = [evaluation(20, 0.6), evaluation(40, 0.4), sample(20, "Tom Tom ran."), sample(40, "Tom ran.", True, True)]
    return [*steps, *later, sample(40, "Mia ran.", False, True), event(20, "resumed from step 20")]


def make_run(folder: Path, metrics: list[dict[str, Any]] | None = None, **changes: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | changes.pop("config", {})))
    (folder / "run.json").write_text(json.dumps(FACTS | {"name": folder.name} | changes))
    found = lines() if metrics is None else metrics
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in found))
    return folder


def text_of(page: Path) -> str:
    """What the page says, without its tags and its curves."""
    written = page.read_text(encoding="utf-8")
    return re.sub(r"<[^>]*>", " ", re.sub(r"<(style|svg)\b.*?</\1>", "", written, flags=re.DOTALL))


def test_a_report_says_what_ran_and_what_came_of_it(tmp_path: Path) -> None:
    page = write_report([make_run(tmp_path / "first")])
    assert page == tmp_path / "first" / "report.html"
    said = " ".join(text_of(page).split())
    for expected in (
        "A GPT that learned to write little stories first · finished · 1,234,567 parameters · cpu · float32 · 2 min 5 s",
        "The validation loss fell from 0.60 nats per token at step 20 to 0.40 at step 40. No model can come below 0.33",
        "Of the last 2 texts that it wrote, 1 is grammatical and not in its training text.",
        "total nats ÷ floor 1.212",
        "grammatical and new 1 of 2",
        "attention torch fastest of 3",
        "model.n_layer 4",
        "torchrun training/train_gpt2.py --seed 1",
        "Step 20 Tom Tom ran. Step 40: 1 of 2 grammatical and new Tom ran. grammatical new Mia ran. not grammatical new",
        "20 resumed from step 20",
        "metrics.jsonl every figure on this page",
        "gpt generate runs/first --num 5",
    ):
        assert expected in said, said
    written = page.read_text()
    assert "Warnings" not in said
    assert str(tmp_path) not in written
    titles = re.findall(r"<figcaption>(.*?)</figcaption><svg", written)
    assert titles == [
        "Loss against the floor",
        "Validation nats ÷ floor nats",
        "Learning rate",
        "Gradient norm",
        "Throughput",
    ]


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    run = make_run(tmp_path / "first")
    first = write_report([run]).read_bytes()
    assert write_report([run], tmp_path / "again.html").read_bytes() == first


def test_the_page_loads_and_runs_nothing(tmp_path: Path) -> None:
    written = write_report([make_run(tmp_path / "first")]).read_text()
    assert not re.search(r"<(script|img|link|iframe|object|embed|base|form)\b|\bstyle=|\bon\w+=|@import", written)
    assert re.findall(r"https?://", written) == []
    assert "default-src &#x27;none&#x27;; style-src &#x27;sha256-" in written


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&\x1b[31m\u202e$\\frac{"


def test_text_from_anywhere_is_escaped(tmp_path: Path) -> None:
    metrics = [*lines(), sample(40, HOSTILE), event(40, HOSTILE)]
    backends = [{"op": HOSTILE, "backend": HOSTILE, "reason": HOSTILE}]
    hostile: dict[str, Any] = {
        "name": HOSTILE,
        "device": HOSTILE,
        "command": [HOSTILE],
        "backends": backends,
        "state": HOSTILE,
    }
    one = make_run(tmp_path / "one", metrics, config={HOSTILE: HOSTILE}, **hostile)
    two = make_run(tmp_path / "two", metrics)
    with (one / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"kind": HOSTILE}) + "\n")
    for page in (write_report([one]), write_report([one, two])):
        written = page.read_text()
        assert "<script" not in written and "<img" not in written
        assert "\x1b" not in written and "\u202e" not in written
        assert (
            "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(2)&gt;&quot;&#x27;&amp;␛[31m\\u202e$"
            in written
        )


def test_several_runs_are_compared(tmp_path: Path) -> None:
    one = make_run(tmp_path / "one")
    two = make_run(
        tmp_path / "two", config={"seed": 2, "model": {"n_layer": 6, "n_embd": 128}, "new": None}, state="interrupted"
    )
    page = write_report([one, two])
    assert page == one / "comparison.html"
    said = " ".join(text_of(page).split())
    assert "one finished 40 0.4000 0.2000 1.212 9 s two interrupted 40" in said
    assert "setting one two model.n_layer 4 6 new – seed 1 2" in said.replace(
        "seed 1 2 model.n_layer 4 6 new –", "model.n_layer 4 6 new – seed 1 2"
    )
    assert "n_embd" not in said
    colors = {color for color in ("#2f7fc1", "#d9730d", "#2e9e6b") if f'stroke="{color}"' in page.read_text()}
    assert colors == {"#2f7fc1", "#d9730d"}


def test_runs_of_one_configuration_say_so(tmp_path: Path) -> None:
    page = write_report([make_run(tmp_path / name, []) for name in ("one", "two")])
    assert "The runs have the same configuration." in text_of(page)


def test_differences_name_each_setting_that_differs(tmp_path: Path) -> None:
    runs = [read_run(make_run(tmp_path / str(seed), config={"seed": seed})) for seed in (1, 2)]
    assert differences(runs) == {"seed": [1, 2]}


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
        assert [record.text for record in found.records if isinstance(record, Sample)] == ["new", "newer"]
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
        (Sample, 2),
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


def test_long_curves_are_drawn_as_means() -> None:
    records = [parse(train(step, float(step))) for step in range(10 * POINTS)]
    points = series(records, "loss")
    assert points.shape == (2, POINTS)
    assert (points[0] == points[1]).all()
    assert points[0, 0] == 4.5


def test_many_samples_are_thinned_but_the_first_and_the_last_stay(tmp_path: Path) -> None:
    final = [sample(99, "one of many", True, True) for _ in range(64)]
    run = make_run(tmp_path / "first", [*(sample(step, f"number {step}.") for step in range(100)), *final])
    said = " ".join(text_of(write_report([run])).split())
    assert "Step 99: 64 of 64 grammatical and new" in said
    assert said.count("one of many") == 5
    assert "number 0." in said and "number 99." in said
    assert len(re.findall(r"number \d+\.", said)) == 12


def test_in_a_browser_it_obeys_its_policy_and_takes_the_pages_colour(tmp_path: Path, tab: Tab) -> None:
    page = write_report([make_run(tmp_path / "one", [*lines(), sample(40, HOSTILE)])])
    for scheme, ink in (("light", "rgb(28, 36, 48)"), ("dark", "rgb(228, 233, 239)")):
        tab.heard.clear()
        tab.show(800, scheme)
        tab.go(page.as_uri())
        assert tab.run("getComputedStyle(document.querySelector('svg text')).color") == ink
        assert tab.run("document.querySelectorAll('script, img, iframe, link').length") == 0
        assert tab.run("getComputedStyle(document.body).maxWidth") == "1216px", "the style sheet was not applied"
        assert "<script>alert(1)</script><img src=x" in tab.run("document.body.textContent")
        assert [one for one in tab.heard if one.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")] == []
