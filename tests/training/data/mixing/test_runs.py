"""A run of a mixture: the same samples after a resume on any number of ranks, and a validation loss for each source."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpt_from_scratch.training.data.building import build_corpus, vocabulary
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run.command_line import parse
from tests.training.trained import train

SMALL = (
    "tiny --steps 6 --batch-size 4 --model.n-layer 1 --model.n-head 2 --model.n-embd 16 "
    "--data.tokenizer bpe --data.vocab-size 500 --data.n-stories 60 --data.n-validation 4 --run.n-final-samples 1 "
    "--run.n-samples 0 "
    "--run.sample-tokens 5 --run.log-every 1 --run.eval-every 3 --run.checkpoint-every 3 --backend torch "
    "--parallel deterministic --micro-batch 1 --model.block-size 200"
)


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "other"):
        (tmp_path / f"{name}.txt").write_text("".join(f"{name} line {i}, and more\n" for i in range(900)))
    return tmp_path


def run(*words: str) -> list[dict[str, Any]]:
    command = parse([*SMALL.split(), *words])
    assert train(command, Ranks())
    assert command.train.run.name is not None
    lines = (Path("runs") / command.train.run.name / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


MIXTURE = ["--data", "one.txt=0.5", "other.txt=0.3", "stories=0.2", "--data.schedule", "3:one.txt=0.1,stories=0.9"]


def test_a_run_goes_on_across_a_change_of_weights(texts: Path) -> None:
    whole = run(*MIXTURE, "--run.name", "whole")
    losses = [line["loss"] for line in whole if line["kind"] == "train"]
    run(*MIXTURE, "--run.name", "stopped")
    for late in ("checkpoints/step-00000006", "checkpoints/best.json"):
        path = texts / "runs" / "stopped" / late
        for file in sorted(path.rglob("*"), reverse=True) if path.is_dir() else []:
            file.unlink() if file.is_file() else file.rmdir()
    assert train(parse(["--resume", "runs/stopped"]), Ranks())
    lines = [json.loads(line) for line in (texts / "runs" / "stopped" / "metrics.jsonl").read_text().splitlines()]
    again = [line["loss"] for line in lines if line["kind"] == "train"][-3:]
    assert any(line["kind"] == "event" and "3" in line["message"] for line in lines)
    assert again == losses[3:]


def test_each_sources_validation_loss_is_that_of_its_own_evaluation(texts: Path) -> None:
    lines = run(*MIXTURE, "--run.name", "mixed")
    found = {line["source"]: line for line in lines if line["kind"] == "source_eval" and line["step"] == 6}
    assert set(found) == {"one.txt", "other.txt", "stories"} and found["stories"]["ratio"] is not None
    from gpt_from_scratch.models.checkpoints.opening import open_model
    from gpt_from_scratch.training.data.validation_set import evaluate

    opened = open_model(texts / "runs" / "mixed", device="cpu")
    total = 0.0
    for name in found:
        config = parse([*SMALL.split(), "--data", name]).train
        alone = build_corpus(config.data, config.model.block_size, tokenizer=opened.tokenizer)
        score = evaluate(opened.model, alone.validation, Ranks())
        assert score is not None and found[name]["loss"] == pytest.approx(score.loss, rel=1e-6)
        total += score.nats
    whole = next(line for line in lines if line["kind"] == "eval" and line["step"] == 6)
    assert whole["nats"] == pytest.approx(total, rel=1e-6)


def test_the_vocabulary_is_known_before_the_run_and_prepared_folders_bring_theirs(
    texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gpt_from_scratch.training.prepare import main as prepare

    monkeypatch.setenv("GPT_DATA_DIR", str(texts / "data"))
    config = parse([*SMALL.split(), *MIXTURE]).train
    corpus = build_corpus(config.data, 200)
    assert vocabulary(config.data) == corpus.tokenizer.n_vocab
    assert corpus.prompt == [corpus.tokenizer.eot_token] and not corpus.stories
    words = ["one.txt", "--tokenizer", "bpe", "--vocab-size", "300", "--workers", "1"]
    assert prepare(words) == 0
    config = parse([*SMALL.split(), "--data", "one=1", "other.txt=1"]).train  # data/one, by its name
    mixed = build_corpus(config.data, 200)
    assert vocabulary(config.data) == mixed.tokenizer.n_vocab == 300
    tokens, _ = mixed.train.batch(mixed.train.batch_ids(0, 0, 8))
    assert int(np.max(tokens.numpy())) < 300
    assert prepare(["other.txt", "--tokenizer", "bpe", "--vocab-size", "290", "--workers", "1"]) == 0
    with pytest.raises(ValueError, match="were prepared with different tokenizers: prepare one again with --tokenizer"):
        build_corpus(parse([*SMALL.split(), "--data", "one=1", "other=1"]).train.data, 200)


def test_mixtures_on_the_command_line(texts: Path) -> None:
    (texts / "mix.toml").write_text('[mixture]\nstories = 1\n"one.txt" = 3\n[schedule.2]\nstories = 1\n')
    data = parse(["tiny", "--data", "mix.toml"]).train.data
    assert (data.source, data.mixture, data.schedule) == ("mixture", ("stories=1", "one.txt=3"), ("2:stories=1",))
    with pytest.raises(SystemExit):  # "data.mixture and data.schedule are for the source 'mixture'"
        parse(["tiny", "--data.schedule", "2:stories=1"])
    for nested in ("mixture=1", "mix.toml=1"):
        with pytest.raises(ValueError, match="a mixture cannot contain a mixture"):
            build_corpus(parse(["tiny", "--data", nested, "stories=1"]).train.data, 200)
    with pytest.raises(FileNotFoundError, match=r"(?s)must be prepared first:.*prepare someone/texts"):
        build_corpus(parse(["tiny", "--data", "someone/texts=1", "stories=1"]).train.data, 200)
