"""Runs that cannot begin or go on: each says what is wrong, and leaves other runs alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt_from_scratch.models.checkpoints import manifest
from gpt_from_scratch.training import prepare, train_gpt2
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run.command_line import parse
from gpt_from_scratch.training.run.trainer import Trainer
from tests.training.outcomes import Run, fails, lines
from tests.training.trained import train


def test_data_that_cannot_be_used(arguments: list[str], text_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no file or folder" in fails([*arguments, "--data.path", str(text_file) + "x"], capsys)
    text_file.write_text("", encoding="utf-8")
    assert "is empty" in fails(arguments, capsys)
    text_file.write_bytes(b"caf\xe9 " * 100)
    assert "is not UTF-8 text: byte 0xe9 at offset 3" in fails(arguments, capsys)
    text_file.write_text("too short", encoding="utf-8")
    assert "the context is longer than the data: block_size 16 needs at least 17" in fails(arguments, capsys)


def test_a_model_that_cannot_be(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    # tyro's own form of the message
    with pytest.raises(SystemExit):
        train_gpt2.main([*arguments, "--model.n-head", "3"])
    printed = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "n_head 3 must divide n_embd 16" in printed
    assert "the tokenizer has" in (error := fails([*arguments, "--model.vocab-size", "5"], capsys))
    assert "model.vocab_size is 5" in error


def test_backends_that_cannot_be(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'triton'" in fails([*arguments, "--backend", "tritno"], capsys)
    assert "cannot run here: runs on cuda, not cpu" in fails([*arguments, "--backend", "triton"], capsys)
    if not torch.cuda.is_available():
        assert "no CUDA device is available" in fails([*arguments, "--device", "cuda"], capsys)


def test_a_named_folder_that_holds_a_run_is_left_alone(
    run: Run, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run("taken")
    before = (folder / "metrics.jsonl").read_bytes()
    assert "is not empty" in (error := fails([*arguments, "--run.name", "taken"], capsys))
    assert f"--resume {folder}" in error
    assert (folder / "metrics.jsonl").read_bytes() == before


def test_resume_from_what_is_no_run(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "does not exist" in fails(["--resume", str(tmp_path / "nothing")], capsys)
    folder = run("foreign")
    assert "steps: 12 in the checkpoint, 13 asked for" in fails(["--resume", str(folder), "--steps", "13"], capsys)
    for state in (folder / "checkpoints").glob("step-*/state.json"):
        state.write_text("{}", encoding="utf-8")
    assert "state.json" in fails(["--resume", str(folder)], capsys)


def test_resume_on_other_data_is_refused(run: Run, text_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run("first")
    text_file.write_text(text_file.read_text(encoding="utf-8") + "then a dog sat on the mat. ", encoding="utf-8")
    assert "the data has changed since" in fails(["--resume", str(folder)], capsys)


def shards_of(tmp_path: Path, text: str) -> Path:
    (tmp_path / "all.txt").write_text(text, encoding="utf-8")
    shutil.rmtree(tmp_path / "shards", ignore_errors=True)
    given = [str(tmp_path / "all.txt"), "--out", str(tmp_path / "shards"), "--tokenizer", "character", "--workers", "1"]
    assert prepare.main([*given, "--validation-fraction", "0.2"]) == 0
    return tmp_path / "shards"


@pytest.mark.parametrize("source", ["text", "shards"])
@pytest.mark.parametrize("part", ["training", "validation"])
def test_resume_on_other_data_of_the_same_length_is_refused(
    run: Run, text_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, part: str
) -> None:
    text = text_file.read_text(encoding="utf-8")
    place = 200 if part == "training" else len(text) - 20
    other = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assert other != text
    if source == "text":
        folder = run("first")
        text_file.write_text(other, encoding="utf-8")
    else:
        folder = run("first", "--data.source", "shards", "--data.path", str(shards_of(tmp_path, text)))
        shards_of(tmp_path, other)
    told = fails(["--resume", str(folder)], capsys)
    assert "the data has changed since" in told and "content was '" in told and told.count("\n") <= 3


def rewrite_state(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """The newest checkpoint with another state, proven as before."""
    newest = max((folder / "checkpoints").glob("step-*"))
    state = json.loads((newest / "state.json").read_bytes())
    change(state)
    (newest / "state.json").write_text(json.dumps(state), encoding="utf-8")
    (newest / "manifest.json").unlink()
    manifest.seal(newest, int(newest.name.removeprefix("step-")))


def test_a_checkpoint_that_noted_only_counts_of_its_data_goes_on(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run("old")
    rewrite_state(folder, lambda state: state["data"].pop("content"))
    assert train_gpt2.main(["--resume", str(folder)]) == 0
    rewrite_state(folder, lambda state: state["data"].update(tokens=1))
    assert "tokens was 1, is" in fails(["--resume", str(folder)], capsys)


def test_any_state_that_is_proven_but_odd_is_words(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run("odd")
    newest = max((folder / "checkpoints").glob("step-*"))
    whole = json.loads((newest / "state.json").read_bytes())
    for name in ("progress", "config", "backends", "data"):
        for value in (None, 7, [1], {"a": 1}, {"step": "x"}, [["attention"]]):

            def change(state: dict[str, Any], name: str = name, value: object = value) -> None:
                state.clear()
                state.update(whole | {name: value})

            rewrite_state(folder, change)
            told = fails(["--resume", str(folder)], capsys)
            assert name in told or "config" in told or "data has changed" in told, told


def test_weights_of_another_shape_are_refused(
    run: Run, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run("first")
    error = fails([*arguments, "--init-from", str(folder), "--model.n-embd", "32"], capsys)
    assert "n_embd 16 (asked for: 32)" in error


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_taken(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run("damaged")
    newest = max((folder / "checkpoints").glob("step-*"))
    file = newest / "model" / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    before = lines(folder, "train")
    train(parse(["--resume", str(folder)]), Ranks())
    assert "model.safetensors" in capsys.readouterr().out
    assert lines(folder, "train") == before


def test_what_breaks_inside_the_loop_keeps_its_traceback(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a user can mend becomes one line; a defect of ours must not look like a mistake of theirs."""

    def broken(self: Trainer, step: int) -> bool:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Trainer, "train_step", broken)
    with pytest.raises(RuntimeError, match="a defect"):
        train_gpt2.main(arguments)


def test_a_dry_run_writes_nothing(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(parse([*arguments, "--dry-run"]), Ranks())
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("parameters", "memory", "disk", "FLOPs", "expected time"))
    assert not (tmp_path / "runs").exists()


def test_a_run_that_waits_for_ever_saves_and_goes_on(run: Run, arguments: list[str]) -> None:
    never = ["--run.timeout", "inf", "--run.patience", "inf", "--optimizer.grad-clip", "inf"]
    folder = run("never", *never, "--steps", "4")
    assert train(parse(["--resume", str(folder), "--run.timeout", "inf"]), Ranks())
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["optimizer"]["grad_clip"] == "inf"


def test_a_model_that_writes_nothing_does_not_decide_how_its_run_ends(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    diverges = ["--optimizer.weight-decay", "1e30", "--run.sample-every", "1", "--run.checkpoint-every", "0"]
    assert train_gpt2.main([*arguments, *diverges, "--run.name", "diverged"]) == train_gpt2.EXIT_NOT_FINITE
    said = capsys.readouterr()
    assert "warning: no samples at step 2: the model's logits are not finite" in said.out
    assert said.err.startswith("error: ") and "Lower the learning rate" in said.err
