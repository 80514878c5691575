"""Profiled steps: a trace that holds them, a table, and a run that learns what it would have learned anyway."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gpt_from_scratch.training.run.command_line import parse
from tests.training.outcomes import same_run

Run = Callable[..., Path]


def test_profiling_leaves_a_trace_and_changes_nothing(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    plain = run("plain")
    capsys.readouterr()
    folder = run("profiled", "--profile", "3,4")
    same_run(plain, folder)
    events = json.loads((folder / "profile" / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    names = [event.get("name", "") for event in events]
    assert sum("Optimizer.step" in name for name in names) == 2 * 2  # steps 3 and 4, of Muon and of AdamW
    printed = capsys.readouterr().out
    assert "Self CPU" in printed and "aten::" in printed and "only CUDA supports it" in printed
    assert not (folder / "profile" / "memory.pickle").exists()


def test_a_run_too_short_to_profile_says_so(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run("short", "--steps", "4", "--profile")
    assert not (folder / "profile").exists()
    assert "the run ended before step 10" in capsys.readouterr().out
    folder = run("cut", "--steps", "11", "--profile")
    assert (folder / "profile" / "trace.json").exists()


def test_profile_is_short_for_its_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(["--profile"]).train.run.profile_steps == (10, 12)
    assert parse(["--profile", "2,5", "--steps", "9"]).train.run.profile_steps == (2, 5)
    with pytest.raises(SystemExit):
        parse(["--profile", "5,2"])
    assert "from 1 on, not (5, 2)" in " ".join(capsys.readouterr().err.replace("│", " ").split())
