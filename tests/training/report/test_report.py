"""The report: the contract of a run's folder, damaged files, escaping, comparison, and the page in a real browser."""

import json
import re
from pathlib import Path
from typing import Any

from gpt_from_scratch.training.metrics.kinds import parse
from gpt_from_scratch.training.report.figures import POINTS, series
from gpt_from_scratch.training.report.page import write_report
from gpt_from_scratch.training.report.run_data import differences, read_run
from tests.pages.chromium import Tab
from tests.training.report.run_folders import event, lines, make_run, sample, text_of, train


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
