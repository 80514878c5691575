"""A run in this process, from its folder to its last step: exact resume, bad steps, and every mistake a user can make."""

import dataclasses
import json
import math
import random
import shutil
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any

import pytest
import torch

from gpt_from_scratch.models.checkpoints import manifest
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.training import prepare, train_gpt2
from gpt_from_scratch.training.data.validation_set import Score
from gpt_from_scratch.training.parallel.single import Strategy
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run import trainer as loop
from gpt_from_scratch.training.run.command_line import parse
from gpt_from_scratch.training.run.trainer import Trainer
from tests.training.trained import train

Run = Callable[..., Path]


def lines(folder: Path, kind: str) -> dict[int, dict[str, Any]]:
    """The last line of each step, without what depends on the clock."""
    found = {}
    for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        if fields["kind"] == kind:
            found[fields["step"]] = {k: v for k, v in fields.items() if k not in ("seconds", "tokens_per_s", "mfu")}
    return found


def weights(folder: Path) -> dict[str, torch.Tensor]:
    newest = max((folder / "checkpoints").glob("step-*"))
    return dict(GPT.from_pretrained(newest / "model").state_dict())


def same_run(one: Path, other: Path) -> None:
    for kind in ("train", "eval"):
        assert lines(one, kind) == lines(other, kind)
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def stop_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Ask the run to stop once it has made so many steps, as a signal would."""
    original = Trainer.train_step

    def step(self: Trainer, number: int) -> bool:
        if number == steps:
            self.stop.handle(15, None)
        return original(self, number)

    monkeypatch.setattr(Trainer, "train_step", step)


def test_a_first_evaluation_that_is_not_a_number_can_be_bettered(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    original, losses = loop.evaluate, iter([math.nan, math.inf, 2.0, math.nan])

    def evaluate(*arguments: Any, **options: Any) -> Score:
        score = original(*arguments, **options)
        return dataclasses.replace(score, nats=next(losses) * score.n_targets)

    monkeypatch.setattr(loop, "evaluate", evaluate)
    folder = run("nan")
    assert [fields["loss"] for fields in lines(folder, "eval").values()] == [None, None, 2.0, None]
    assert json.loads((folder / "checkpoints" / "best.json").read_text()) == {"step": 8, "loss": 2.0}


@pytest.mark.parametrize(("optimizer", "of", "rate"), [("muon", "Muon", 0.02), ("adamw", "AdamW", 0.05)])
def test_the_logged_rate_is_of_the_optimizer_that_moves_most(run: Run, optimizer: str, of: str, rate: float) -> None:
    shape = ["--optimizer.embed-lr", "0.2", "--schedule.warmup-steps", "0", "--schedule.decay-fraction", "0"]
    folder = run(optimizer, "--steps", "2", "--optimizer.name", optimizer, *shape)
    assert [(fields["lr_of"], fields["lr"]) for fields in lines(folder, "train").values()] == [(of, rate)] * 2


@pytest.mark.report
def test_a_run_leaves_a_whole_folder_and_learns(run: Run) -> None:
    folder = run("whole", "--steps", "60", "--optimizer.lr", "0.01")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert config["model"]["n_layer"] == 1
    assert about["state"] == "finished"
    assert {b["op"]: b["backend"] for b in about["backends"]}["attention"] == "reference"
    steps = lines(folder, "train")
    assert sorted(steps) == list(range(1, 61))
    evals = lines(folder, "eval")
    assert evals[0]["loss"] > 2.5
    assert evals[60]["loss"] < 1.8
    assert (folder / "report.html").is_file()
    assert [path.name for path in sorted((folder / "checkpoints").glob("step-*"))][-1] == "step-00000060"


def test_the_settings_of_a_run_replay_it(run: Run, tmp_path: Path) -> None:
    first = run("first")
    train(parse(["--config", str(first / "config.json"), "--run.name", "again"]), Ranks())
    same_run(first, tmp_path / "runs" / "again")


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(s, marks=pytest.mark.torture) for s in range(3, 23))])
def test_a_stopped_run_goes_on_to_the_last_bit(run: Run, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    whole = run("whole")
    with monkeypatch.context() as patch:
        stop_after(patch, random.Random(seed).randrange(12))
        stopped = run("stopped")
    assert json.loads((stopped / "run.json").read_text(encoding="utf-8"))["state"] == "interrupted"
    train(parse(["--resume", str(stopped)]), Ranks())
    same_run(whole, stopped)


def test_micro_batches_add_up_to_the_same_step(run: Run) -> None:
    whole, parts = weights(run("whole")), weights(run("parts", "--micro-batch", "1"))
    assert max(float((whole[name] - parts[name]).abs().max()) for name in whole) < 1e-5


def test_a_run_begins_from_the_weights_of_another(run: Run) -> None:
    first = run("first")
    tokenizer = str(max((first / "checkpoints").glob("step-*")) / "model")
    for name, more in (("given", ["--data.tokenizer", tokenizer]), ("of the weights", [])):
        second = run(name, "--init-from", str(first), *more)
        assert lines(second, "eval")[0]["loss"] == pytest.approx(lines(first, "eval")[12]["loss"], rel=1e-6)


def test_weights_begin_with_their_own_tokenizer_whatever_the_data_would_make(
    run: Run, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another one with as many ids would give every id another meaning, without a word."""
    first = run("first")
    shifted = str.maketrans("abcdefghijklmnopqrstuvwxyz", "bcdefghijklmnopqrstuvwxyza")
    other = tmp_path / "other.txt"
    other.write_text((tmp_path / "text.txt").read_text(encoding="utf-8").translate(shifted), encoding="utf-8")
    text = (tmp_path / "text.txt").read_text(encoding="utf-8")
    (tmp_path / "fewer.txt").write_text(text.replace("cat", "mat"), encoding="utf-8")
    place = arguments.index("--data.tokenizer")
    unsaid = [*arguments[:place], *arguments[place + 2 :], "--data.path", str(tmp_path / "fewer.txt")]
    train(parse([*unsaid, "--init-from", str(first), "--run.name", "second"]), Ranks())
    second = tmp_path / "runs" / "second"
    ours, theirs = (max((path / "checkpoints").glob("step-*")) / "model" for path in (first, second))
    assert load_tokenizer(ours).fingerprint == load_tokenizer(theirs).fingerprint
    config = json.loads((second / "config.json").read_text(encoding="utf-8"))
    assert config["data"]["tokenizer"] == "weights"
    train(parse(["--resume", str(second)]), Ranks())
    told = fails(
        [*arguments, "--init-from", str(first), "--data.path", str(other), "--data.tokenizer", "character"], capsys
    )
    assert "is not the one that the model" in told and "trained with" in told


def spoil(patch: pytest.MonkeyPatch, steps: Container[int], value: float) -> None:
    """The gradients of these steps hold `value`."""
    take_step, clip, at = Trainer.train_step, Strategy.clip, [0]

    def stepping(self: Trainer, step: int) -> bool:
        at[0] = step
        return take_step(self, step)

    def clipping(self: Strategy, limit: float) -> torch.Tensor:
        if at[0] in steps:
            next(iter(self.model.parameters())).grad.fill_(value)  # type: ignore[union-attr]
        return clip(self, limit)

    patch.setattr(Trainer, "train_step", stepping)
    patch.setattr(Strategy, "clip", clipping)


def test_a_bad_step_is_skipped_and_too_many_end_the_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        spoil(patch, {5, 7}, math.nan)
        folder = run("two-bad")
    assert sorted(set(range(1, 13)) - set(lines(folder, "train"))) == [6, 8]
    events = lines(folder, "event")
    assert "step 6 skipped" in events[6]["message"] and "sample" in events[6]["message"]
    assert all(torch.isfinite(value).all() for value in weights(folder).values())

    spoil(monkeypatch, range(4, 9), math.nan)
    with pytest.raises(loop.TooManySkippedStepsError, match="4 of the last 100 steps"):
        run("all-bad")


def test_a_run_that_skipped_a_step_resumes_exactly(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, {5}, math.inf)
    whole = run("whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 7)
        stopped = run("stopped")
    train(parse(["--resume", str(stopped)]), Ranks())
    same_run(whole, stopped)


def test_a_choice_by_measurement_is_kept_on_resume(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from gpt_from_scratch.kernels.fastest import Timing
    from gpt_from_scratch.training.run import backends

    def timings(*args: object) -> list[Timing]:
        quick = {"attention": "torch"}
        return [
            Timing(op, name, 1.0 if name == quick.get(op, "reference") else 2.0)
            for op in ("attention", "layer_norm", "add_layer_norm", "linear_cross_entropy")
            for name in ("reference", "torch")
        ]

    monkeypatch.setattr(backends, "_time_all", timings)
    whole = run("whole", "--backend", "fastest")
    with monkeypatch.context() as patch:
        stop_after(patch, 6)
        stopped = run("stopped", "--backend", "fastest")
    monkeypatch.setattr(backends, "_time_all", lambda *args: pytest.fail("measured again"))
    train(parse(["--resume", str(stopped)]), Ranks())
    same_run(whole, stopped)
    chosen = json.loads((stopped / "run.json").read_text(encoding="utf-8"))["backends"]
    assert {b["op"]: (b["backend"], b["reason"]) for b in chosen}["attention"] == ("torch", "as in the checkpoint")


# Mistakes: each a clear error, nothing lost.


def fails(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert train_gpt2.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "Traceback" not in error
    return error


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
    assert "already holds something" in (error := fails([*arguments, "--run.name", "taken"], capsys))
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
