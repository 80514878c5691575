"""A run on a disk that fails: it ends with the weights of an undisturbed run, or with what it could save, and says so."""

import errno
import hashlib
import json
from pathlib import Path

import pytest

from gpt_from_scratch.training import train_gpt2
from gpt_from_scratch.training.checkpoints import CheckpointStore
from gpt_from_scratch.training.train_gpt2 import EXIT_UNSAVED
from tests.training.faults.disks import CALLS, FOR_GOOD, Failures, failing_disk
from tests.training.faults.launch import records

PLACES = ("metrics.jsonl", "model.safetensors", "state.json", "best.json")
PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOSPC, errno.EAGAIN, errno.EINTR)
STEPS = 12  # of the small run, which saves every fourth


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, str]:
    """The digest of the final weights, once a test has made them."""
    return {}


def digest(folder: Path, step: int = STEPS) -> str:
    path = folder / "checkpoints" / f"step-{step:08d}" / "model" / "model.safetensors"
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def reference(arguments: list[str], tmp_path: Path, undisturbed: dict[str, str]) -> str:
    if not undisturbed:
        assert train_gpt2.main([*arguments, "--run.name", "reference"]) == 0
        undisturbed["digest"] = digest(tmp_path / "runs" / "reference")
    return undisturbed["digest"]


def outcome(arguments: list[str], tmp_path: Path, failures: Failures) -> tuple[int, Path]:
    with failing_disk(failures):
        status = train_gpt2.main([*arguments, "--run.name", "run"])
    assert failures.met > 0 or (failures.call, failures.part) == ("rename", "metrics.jsonl")  # which is never renamed
    return status, tmp_path / "runs" / "run"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("call", CALLS)
def test_one_failure_changes_nothing(
    arguments: list[str], tmp_path: Path, reference: str, call: str, place: str
) -> None:
    number = PASSING[(CALLS.index(call) + PLACES.index(place)) % len(PASSING)]
    status, folder = outcome(arguments, tmp_path, Failures(call, place, 1, number))
    assert status == 0 and digest(folder) == reference
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "train"] == list(range(1, STEPS + 1))
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["state"] == "finished"
    best = CheckpointStore(folder / "checkpoints").best()
    assert best is not None and best.step == STEPS


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("place", ["metrics.jsonl", "best.json"])
def test_what_is_no_weight_may_fail_for_good(
    arguments: list[str],
    tmp_path: Path,
    reference: str,
    capsys: pytest.CaptureFixture[str],
    call: str,
    place: str,
) -> None:
    status, folder = outcome(arguments, tmp_path, Failures(call, place, FOR_GOOD))
    assert status == 0 and digest(folder) == reference
    if (call, place) != ("rename", "metrics.jsonl"):  # which is never renamed
        assert "warning: a file could not be written" in capsys.readouterr().out


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("place", ["state.json", "step-00000012"])
def test_a_last_checkpoint_that_cannot_be_written_has_a_status_of_its_own(
    arguments: list[str], tmp_path: Path, reference: str, capsys: pytest.CaptureFixture[str], call: str, place: str
) -> None:
    status, folder = outcome(arguments, tmp_path, Failures(call, place, FOR_GOOD))
    said = capsys.readouterr()
    assert status == EXIT_UNSAVED == 6
    assert "error: the checkpoint of step 12, the run's last, could not be written" in said.err
    assert "--resume" in said.err and len(said.err.splitlines()) <= 3
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["state"] == "unsaved"
    reasons = [line["message"] for line in records(folder) if line["kind"] == "event"]
    assert "the checkpoint of step" in reasons[-1] and "could not be written" in reasons[-1]
    kept = CheckpointStore(folder / "checkpoints")
    assert kept.steps() == ([4, 8] if place == "step-00000012" else [])
    assert not list((folder / "checkpoints").glob(".*.tmp")), "nothing half-written stays"
    if kept.steps():  # the disk is well again, and the run goes on
        assert train_gpt2.main(["--resume", str(folder)]) == 0 and digest(folder) == reference


@pytest.mark.report
def test_a_report_that_cannot_be_written_does_not_make_a_run_fail(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _ = outcome(arguments, tmp_path, Failures("write", "report.html", FOR_GOOD))
    assert status == 0 and "report.html could not be written" in capsys.readouterr().out
