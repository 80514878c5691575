"""A run's folder has one writer: processes that begin at once, that come to a run that lives, and a folder that moves."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gpt_from_scratch.support.storage.lock import LOCK_FILE, locked
from gpt_from_scratch.training import train_gpt2
from gpt_from_scratch.training.run.trainer import Trainer
from tests.training.outcomes import Run, same_run
from tests.training.run.test_processes import ENVIRONMENT, ROOT, torchrun

IN_ONE_SECOND = """
import sys, time
time.strftime = lambda *rest: "20260101-000000"
from gpt_from_scratch.training.train_gpt2 import main
sys.exit(main(sys.argv[1:]))
"""
LONG = ["--steps", "1000000", "--run.log-every", "1", "--run.eval-every", "0", "--run.checkpoint-every", "20"]


def script(arguments: list[str], code: str = IN_ONE_SECOND) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(pattern: bytes, process: "subprocess.Popen[str]", folder: Path) -> None:
    """Wait until a run has recorded something."""
    deadline = time.monotonic() + 120
    metrics = folder / "metrics.jsonl"
    while not (metrics.exists() and re.search(pattern, metrics.read_bytes(), re.DOTALL)):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.02)


def test_four_unnamed_runs_of_one_second_get_four_folders(arguments: list[str], tmp_path: Path) -> None:
    processes = [script([*arguments, "--seed", str(seed)]) for seed in range(4)]
    for process in processes:
        assert process.wait(timeout=240) == 0, process.communicate()[1]
    folders = sorted((tmp_path / "runs").iterdir())
    assert [folder.name for folder in folders] == [f"tiny-20260101-000000{end}" for end in ("", "-2", "-3", "-4")]
    seeds = []
    for folder in folders:
        steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [line["step"] for line in steps if line["kind"] == "train"] == list(range(1, 13))
        seeds.append(json.loads((folder / "config.json").read_bytes())["seed"])
    assert sorted(seeds) == [0, 1, 2, 3]


def test_ranks_of_one_run_share_the_folder_that_the_first_makes(arguments: list[str], tmp_path: Path) -> None:
    process = torchrun(arguments, ranks=2)
    assert process.wait(timeout=240) == 0, process.communicate()[0]
    process.communicate()
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_run_that_lives_is_not_resumed_and_one_that_was_killed_is(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "runs" / "one"
    named = [*arguments, *LONG, "--run.name", "one"]
    first = script(named)
    try:
        wait_for(b'"step": 30,', first, folder)
        for more in (["--resume", str(folder)], [*named, "--resume", "auto"], named):
            assert train_gpt2.main(more) == 2
            told = capsys.readouterr().err
            assert told.count("\n") == 1
            assert (
                f"another process is training in {folder}: process {first.pid} on {socket.gethostname()} since" in told
            )
    finally:
        first.kill()
        first.communicate()
    assert (folder / LOCK_FILE).exists() and not list((folder / "checkpoints").glob("aside-*"))
    second = script(["--resume", str(folder)])
    try:
        wait_for(b'resumed at step.*"kind": "train"', second, folder)
        second.send_signal(signal.SIGTERM)
        assert second.wait(timeout=120) == 0
    finally:
        second.kill()
        second.communicate()
    assert not (folder / LOCK_FILE).exists()


def test_what_torchrun_restarts_waits_for_the_attempt_before(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another host it may still be in its grace time."""
    from gpt_from_scratch.training.ranks.process_group import launcher

    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a job")
    ours = launcher()
    assert ours is not None
    folder = tmp_path / "runs" / "one"
    (folder / "launchers.json").parent.mkdir(parents=True)
    (folder / "launchers.json").write_text(json.dumps([ours]), encoding="utf-8")
    taken, leave = threading.Event(), threading.Event()

    def earlier() -> None:
        with locked(folder / LOCK_FILE, "the earlier attempt", "wait", family=[ours]):
            taken.set()
            leave.wait(0.3)

    thread = threading.Thread(target=earlier)
    thread.start()
    taken.wait()
    assert train_gpt2.main([*arguments, "--run.name", "one"]) == 0
    thread.join()


def test_a_mistake_leaves_no_folder(arguments: list[str], tmp_path: Path) -> None:
    assert train_gpt2.main([*arguments, "--data.path", str(tmp_path / "nothing.txt")]) == 2
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (["--run.name", "x" * 300], "file name too long"),
        (["--run.name", os.fsdecode(b"caf\xe9")], "the name holds bytes that are not UTF-8: rename that folder"),
        (["--run.folder", "a_file"], "a_file"),
        (["--run.folder", "a_file/below"], "a_file/below: not a directory"),
        (["--run.folder", "/proc/runs"], "/proc/runs: no such file or directory"),
    ],
)
def test_a_place_that_no_run_can_have_is_told_before_data_are_made(
    setting: list[str],
    words: str,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a_file").write_text("mine")
    assert train_gpt2.main([*arguments, *setting]) == 2
    printed = capsys.readouterr()
    assert words in printed.err and len(printed.err.splitlines()) <= 3 and "data:" not in printed.out
    assert Path("a_file").read_text() == "mine"


def test_a_run_goes_on_in_its_folder_when_that_is_moved(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = run("whole", "--profile")
    original = Trainer.train_step

    def moving(self: Trainer, number: int) -> bool:
        if number == 6:
            (tmp_path / "runs" / "one").rename(tmp_path / "elsewhere")
        return original(self, number)

    monkeypatch.setattr(Trainer, "train_step", moving)
    run("one", "--profile")
    assert not (tmp_path / "runs" / "one").exists()
    same_run(whole, tmp_path / "elsewhere")
    assert {path.name for path in (tmp_path / "elsewhere").iterdir()} == {path.name for path in whole.iterdir()}
    assert f"metrics      {tmp_path / 'elsewhere' / 'metrics.jsonl'}" in capfd.readouterr().out


def test_a_folder_that_is_removed_ends_the_run_in_words(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Trainer.train_step

    def removing(self: Trainer, number: int) -> bool:
        if number == 6:
            folder = tmp_path / "runs" / "one"
            for path in sorted(folder.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            folder.rmdir()
        return original(self, number)

    monkeypatch.setattr(Trainer, "train_step", removing)
    with pytest.raises(FileNotFoundError, match="one was removed, or moved to another disk, while it was in use"):
        run("one")
    assert not (tmp_path / "runs" / "one").exists()


def test_a_link_in_the_locks_place_keeps_its_target(
    arguments: list[str], run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run("one")
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    os.symlink(tmp_path / "thesis.tex", folder / LOCK_FILE)  # noqa: PTH211
    assert train_gpt2.main(["--resume", str(folder)]) == 2
    assert "where a lock would lie: remove it" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text(encoding="utf-8") == "years of work"
