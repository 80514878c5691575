"""Parts of the work, in any order, with kills: the bytes of one command."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpt_from_scratch.support.command_line.command import status_of
from gpt_from_scratch.support.storage.lock import locked
from gpt_from_scratch.training.data.preparing.parts import Part
from gpt_from_scratch.training.prepare import main as command


def main(*words: str) -> int | str | None:
    return status_of("prepare", lambda: command(list(words)))


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """(Files with documents, what one command makes of them)."""
    folder = tmp_path_factory.mktemp("parts")
    (folder / "texts").mkdir()
    for file in range(11):
        lines = [json.dumps({"text": f"{file} {i} " + "and so on " * (i % 9)}) + "\n" for i in range(20)]
        (folder / "texts" / f"{file:02d}.jsonl").write_text("".join(lines))
    assert main(*words(folder / "texts", folder / "whole")) == 0
    return folder / "texts", content(folder / "whole")


def words(texts: Path, out: Path, *more: str) -> list[str]:
    options = ["--tokenizer", "bpe", "--vocab-size", "280", "--validation-fraction", "0.2", "--workers", "1"]
    return [str(texts), "--out", str(out), *options, *more]


def test_eight_parts_in_any_order_give_the_bytes_of_one(
    source: tuple[Path, dict[str, bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, whole = source
    order = list(range(1, 9))
    random.Random(4).shuffle(order)
    for place, number in enumerate(order):
        assert main(*words(texts, tmp_path / "out", "--part", f"{number}/8")) == 0
        said = capsys.readouterr().out
        assert ("remain for the other parts" in said) == (place < 7)
        if place == 3:  # one of those that are done, again: nothing to do
            assert main(*words(texts, tmp_path / "out", "--part", f"{order[0]}/8")) == 0
    assert content(tmp_path / "out") == whole
    assert main(*words(texts, tmp_path / "out", "--part", "3/8")) == 0
    assert content(tmp_path / "out") == whole


def test_parts_at_once_and_killed_give_the_bytes_of_one(source: tuple[Path, dict[str, bytes]], tmp_path: Path) -> None:
    texts, whole = source
    out = tmp_path / "out"
    start = [sys.executable, "-m", "gpt_from_scratch.training.prepare"]
    parts = [[*start, *words(texts, out, "--part", f"{number}/3")] for number in (1, 2, 3)]
    running = [subprocess.Popen(part, stdout=subprocess.DEVNULL) for part in parts]
    while not list(out.glob(".pieces/[0-9]*.json")) and any(process.poll() is None for process in running):
        time.sleep(0.001)
    for process in running:
        process.send_signal(signal.SIGKILL)
        process.wait()
    for part in reversed(parts):
        assert subprocess.run(part, stdout=subprocess.DEVNULL).returncode == 0
    assert content(out) == whole


def test_a_part_that_is_under_way_is_not_begun_again(
    source: tuple[Path, dict[str, bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, whole = source
    out = tmp_path / "out"
    out.mkdir()
    with Part(2, 3).held_in(out):
        assert main(*words(texts, out, "--part", "2/3")) != 0
        assert "another process works on part 2/3" in capsys.readouterr().err
        assert main(*words(texts, out)) != 0  # all pieces, part 2's among them
        assert "another process works on a part of the data" in capsys.readouterr().err
    assert main(*words(texts, out)) == 0 and content(out) == whole
    with locked(out / ".lock", "busy", "wait"):
        assert main(*words(texts, out)) != 0


def test_what_a_part_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sorted(piece for number in (1, 2, 3) for piece in Part(number, 3).pieces(11)) == list(range(11))
    for text in ("0/8", "9/8", "8", "a/b", "1/0", ""):
        with pytest.raises(ValueError, match="expected I/N with I from 1 to N"):
            Part.of(text)
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID", raising=False)
    with pytest.raises(ValueError, match="SLURM_ARRAY_TASK_ID is not set"):
        Part.of("slurm")
    for name, value in (("ID", "12"), ("MIN", "10"), ("COUNT", "4")):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    assert Part.of("slurm") == Part(3, 4) and Part.of(None) == Part(1, 1)
