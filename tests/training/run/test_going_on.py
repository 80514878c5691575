"""The same command again: what torchrun restarts, and what a scheduler starts anew, goes on where it stood."""

from pathlib import Path

import pytest

from gpt_from_scratch.training import train_gpt2
from gpt_from_scratch.training.ranks.process_group import Ranks, launcher
from gpt_from_scratch.training.run.folder import LAUNCHERS_FILE, restarted_folder
from gpt_from_scratch.training.run.session import Session
from gpt_from_scratch.training.run.trainer import Trainer
from tests.training.outcomes import Run, same_run

JOB = "TORCHELASTIC_RUN_ID"  # with it, this process's parent stands for torchrun


def crash_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """A defect that ends the run before this step, once."""
    original = Trainer.train_step

    def broken(self: Trainer, number: int) -> bool:
        if number == step:
            raise IndexError("a defect")
        return original(self, number)

    monkeypatch.setattr(Trainer, "train_step", broken)


@pytest.mark.parametrize(
    "step, name", [(3, []), (10, ["--run.name", "named"])], ids=["before a checkpoint", "after one, named"]
)
def test_what_torchrun_restarts_goes_on_in_its_own_folder(
    run: Run, arguments: list[str], tmp_path: Path, step: int, name: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("whole")
    monkeypatch.setenv(JOB, "a job")
    with monkeypatch.context() as patch:
        crash_at(patch, step)
        with pytest.raises(IndexError, match="a defect"):
            train_gpt2.main([*arguments, *name])
    assert train_gpt2.main([*arguments, *name]) == 0
    (folder,) = (path for path in (tmp_path / "runs").iterdir() if path != whole)
    same_run(whole, folder)


def test_another_torchrun_begins_another_run(
    run: Run,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(JOB, "a job")
    note = run("first") / LAUNCHERS_FILE
    note.write_text('["another host:1:2"]', encoding="utf-8")
    assert train_gpt2.main([*arguments, "--run.name", "first"]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert train_gpt2.main([*arguments, "--steps", "1"]) == 0
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_a_folder_is_found_by_any_torchrun_that_wrote_into_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / LAUNCHERS_FILE).write_text('["a:1:5", "b:1:7"]', encoding="utf-8")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / LAUNCHERS_FILE).write_text('["a:1', encoding="utf-8")
    assert restarted_folder(tmp_path, None, ["c:9:9", "b:1:7"]) == tmp_path / "mine"
    assert restarted_folder(tmp_path, "mine", ["a:1:5"]) == tmp_path / "mine"
    assert restarted_folder(tmp_path, "other", ["a:1:5"]) is None
    assert restarted_folder(tmp_path, None, ["a:1:6"]) is None
    assert restarted_folder(tmp_path / "none", None, ["a:1:5"]) is None


def test_without_torchrun_nothing_is_a_restart(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(JOB, raising=False)
    assert launcher() is None
    assert not (run("alone") / LAUNCHERS_FILE).exists()


def test_resume_auto_begins_and_goes_on(
    run: Run, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("whole")
    again = [*arguments, "--run.name", "again", "--resume", "auto"]
    for step in (2, 6):
        with monkeypatch.context() as patch:
            crash_at(patch, step)
            with pytest.raises(IndexError):
                train_gpt2.main(again)
    assert train_gpt2.main(again) == 0
    same_run(whole, tmp_path / "runs" / "again")
    assert train_gpt2.main(again) == 0  # finished: nothing more to learn
    same_run(whole, tmp_path / "runs" / "again")


def test_resume_auto_says_what_it_needs_and_refuses_other_settings(
    run: Run, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_gpt2.main([*arguments, "--resume", "auto"]) == 2
    assert "needs the run's name: --run.name" in capsys.readouterr().err
    run("old")
    assert train_gpt2.main([*arguments, "--run.name", "old", "--resume", "auto", "--seed", "7"]) == 2
    assert "seed: 0 in the checkpoint, 7 asked for" in capsys.readouterr().err
    (tmp_path / "runs" / "no-run").mkdir()
    (tmp_path / "runs" / "no-run" / "something").touch()
    assert train_gpt2.main([*arguments, "--run.name", "no-run", "--resume", "auto"]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_a_stop_for_another_host_is_a_reason_to_go_on(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun takes a status of 0 as done, and would not join the hosts that begin again."""
    monkeypatch.setattr(Session, "run", lambda self: False)  # stopped, though no signal came here
    assert train_gpt2.run(arguments, Ranks(hosts=2)) == train_gpt2.EXIT_STOPPED_WITH_OTHERS
    assert train_gpt2.run(arguments, Ranks()) == 0
