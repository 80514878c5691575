"""A report that follows its run: it opens itself again while the run goes on, and no longer once it has ended."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.training.commands import report
from gpt_from_scratch.training.report import live
from gpt_from_scratch.training.report.follower import followed
from gpt_from_scratch.training.report.page import write_report

STEP = {"kind": "train", "loss": 2.0, "lr": 0.1, "grad_norm": 1.0, "tokens_per_s": 10.0, "mfu": None, "seconds": 1.0}
REFRESH = '<meta http-equiv="refresh" content="5">'


def a_run(folder: Path, state: str = "running", steps: int = 1, **config: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "run.json").write_text(json.dumps({"name": "mine", "state": state, "floor_nats_per_token": 0.5}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(STEP | {"step": n + 1}) + "\n" for n in range(steps)))
    return folder


@pytest.mark.parametrize(
    ("data", "state", "title"),
    [
        ({"source": "stories", "path": None}, "finished", "A GPT that learned to write little stories"),
        ({"source": "stories", "path": None}, "running", "A GPT that is learning to write little stories"),
        ({"source": "text", "path": "/home/me/poems.txt"}, "interrupted", "A GPT that learned from poems.txt"),
        ({"source": "mine"}, "finished", "A GPT that learned from mine"),
        ([], "finished", "mine"),
    ],
)
def test_the_title_is_what_was_learned(tmp_path: Path, data: Any, state: str, title: str) -> None:
    page = write_report([a_run(tmp_path / "run", state, data=data)]).read_text()
    assert f"<h1>{title}</h1>" in page


def test_only_a_page_that_follows_a_running_run_opens_itself_again(tmp_path: Path) -> None:
    running, ended = a_run(tmp_path / "a", steps=0), a_run(tmp_path / "b", "finished", steps=0)
    assert REFRESH not in write_report([running]).read_text()
    assert REFRESH in write_report([running], live=True).read_text()
    assert REFRESH not in write_report([ended], live=True).read_text()


def test_it_is_drawn_again_until_the_run_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What happens to the run while the page rests: a step, nothing, its end."""
    run, seen = a_run(tmp_path / "run", steps=0), []
    happens = [lambda: a_run(run, steps=1), lambda: None, lambda: a_run(run, "finished", steps=2)]

    def rest(seconds: float) -> None:
        assert seconds >= live.PAUSE
        seen.append((run / "report.html").read_text())
        happens.pop(0)()

    monkeypatch.setattr(live.time, "sleep", rest)
    monkeypatch.setattr(report.signal, "signal", lambda *_: None)
    report.main([str(run), "--live"])
    assert capsys.readouterr().out == f"{run / 'report.html'}\n"
    assert happens == [] and all(REFRESH in page for page in seen)
    assert "Warnings" not in seen[0], "that nothing is measured yet is no fault of a young run"
    assert "<svg" not in seen[0] and "<svg" in seen[1] and seen[1] == seen[2]
    assert REFRESH not in (run / "report.html").read_text()


def test_one_run_is_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        report.main([str(a_run(tmp_path / "a")), str(a_run(tmp_path / "b")), "--live"])
    assert "--live follows one run" in capsys.readouterr().err


def test_a_runs_page_is_shown_and_its_process_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, asked = a_run(tmp_path / "run", steps=0), tmp_path / "asked"
    os.mkfifo(asked)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1 $PPID" > {asked}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    with followed(run):
        address, process = asked.read_text().split()
        assert address == (run / "report.html").as_uri()
        assert REFRESH in (run / "report.html").read_text()
        os.kill(int(process), 0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(process), 0)
    assert {path.name for path in run.iterdir()} == {"config.json", "run.json", "metrics.jsonl", "report.html"}


def test_a_run_that_was_killed_is_not_waited_for(tmp_path: Path) -> None:
    """The process that started it is gone: the page is drawn for the last time."""
    run = a_run(tmp_path / "run", steps=0)
    follow = f"from gpt_from_scratch.training.report import live; from pathlib import Path; live.PAUSE = 0.05; " \
        f"live.follow(Path({str(run)!r}), drawn=lambda path: print('drawn', flush=True))"  # fmt: skip
    start = (
        f"import subprocess, sys\n"
        f"one = subprocess.Popen([sys.executable, '-c', {follow!r}], stdout=subprocess.PIPE)\n"
        f"one.stdout.readline()"
    )
    subprocess.run([sys.executable, "-c", start], check=True, timeout=120)
    end = time.monotonic() + 60
    while REFRESH in (run / "report.html").read_text():
        assert time.monotonic() < end, "the page still says that the run goes on"
        time.sleep(0.05)
