"""A disk that is really full: a tmpfs of one megabyte."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpt_from_scratch.training import train_gpt2
from gpt_from_scratch.training.checkpoints import CheckpointStore, bytes_of, preflight
from gpt_from_scratch.training.run.trainer import Trainer
from tests.training.checkpoints.run import assert_is_step, saved, state_at

WIDTH = 30_000  # of the optimizer's state: 120 kB a checkpoint


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("no root, which mounting a tmpfs needs")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no root that may mount: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder: Path, leave: int) -> None:
    """Leave this many bytes free, to within a page."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_bsize
    (folder / "filler").write_bytes(bytes(max(0, free - leave)))


@pytest.mark.parametrize("wait", [True, False])
def test_the_run_goes_on_and_the_last_good_checkpoint_stays(small_disk: Path, wait: bool) -> None:
    told: list[str] = []
    store = CheckpointStore(small_disk / "checkpoints", warn=told.append)
    store.save(1, **state_at(1, width=WIDTH), wait=wait)
    store.finish()
    fill(small_disk, leave=60_000)
    for step in (2, 3):
        store.save(step, **state_at(step, width=WIDTH), wait=wait)
        store.finish()
    needed = bytes_of([*state_at(2, width=WIDTH)["weights"].values(), *state_at(2, width=WIDTH)["tensors"].values()])
    assert len(told) == 2 and f"{needed:,} bytes" in told[0] and "the last good checkpoint is that of step 1" in told[1]
    assert [path.name for path in store.folder.iterdir()] == ["step-00000001"]
    assert_is_step(store.load(), 1)
    (small_disk / "filler").unlink()
    store.save(4, **state_at(4, width=WIDTH), wait=wait)
    store.finish()
    assert_is_step(store.load(), 4)


def test_wherever_the_disk_becomes_full_nothing_half_written_stays(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By two pages more each time: each of the files, folders and renames of a save once hits the full disk."""
    monkeypatch.setattr("gpt_from_scratch.support.storage.files.PAUSES", ())
    told: list[str] = []
    store = saved(small_disk / "checkpoints", 0, keep_last=1, warn=told.append)
    outcomes = []
    for pages in range(0, 60, 2):
        step = pages + 1
        fill(small_disk, leave=4096 * pages)
        before = len(told)
        store.save(step, **state_at(step, width=WIDTH))
        was_saved = store.steps() == [step]
        assert was_saved == (len(told) == before)
        assert len(list(store.folder.iterdir())) == 1
        outcomes.append(was_saved)
        (small_disk / "filler").unlink()
    first = outcomes.index(True)
    assert first > 15 and all(outcomes[first:])
    assert_is_step(CheckpointStore(store.folder).load(), 59)


def test_a_best_mark_on_a_full_disk_is_told(small_disk: Path) -> None:
    told: list[str] = []
    store = saved(small_disk / "checkpoints", 1, warn=told.append)
    fill(small_disk, leave=0)
    assert not store.mark_best(1, loss=1.0)
    assert "the disk is full: best.json could not name step 1" in told[0] and store.best() is None


def test_a_whole_run_survives_and_its_metrics_have_every_line(
    small_disk: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = Trainer.train_step

    def step(self: Trainer, number: int) -> bool:
        if number == 5:
            fill(small_disk, leave=0)
        if number == 50:
            (small_disk / "filler").unlink()
        return original(self, number)

    monkeypatch.setattr(Trainer, "train_step", step)
    settings = ["--run.folder", str(small_disk), "--run.name", "run", "--steps", "60", "--run.log-every", "1"]
    assert train_gpt2.main([*arguments, *settings, "--run.checkpoint-every", "20", "--run.sample-every", "0"]) == 0
    said = capsys.readouterr().out
    assert "the checkpoint of step 20 needs more than" in said and "the checkpoint of step 40 needs more than" in said
    assert said.count("metrics.jsonl cannot be written") == 1
    lines = [
        json.loads(line) for line in (small_disk / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [line["step"] for line in lines if line["kind"] == "train"] == list(range(1, 61))
    assert CheckpointStore(small_disk / "run" / "checkpoints").steps() == [60]


def test_preflight_says_what_is_needed_and_what_is_free(tmp_path: Path) -> None:
    preflight(1000, tmp_path / "not" / "yet")
    with pytest.raises(RuntimeError, match=r"need 1 PB \(1,000,000,000,000,000 bytes\) in .*yet, and .* free"):
        preflight(10**15, tmp_path / "not" / "yet")
