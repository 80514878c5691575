"""Names of options from earlier releases: each is taken as the name that every command has now."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.evals import sad, text_command
from gpt_from_scratch.evals.scoring import command_line as scoring
from gpt_from_scratch.evals.tasks.arithmetic import arithmetic
from gpt_from_scratch.support.command_line.arguments import ArgumentParser, add_run, settings, the_run
from gpt_from_scratch.support.command_line.shared_options import OLDER
from gpt_from_scratch.tokenizer import command_line as tokenizers
from gpt_from_scratch.training.commands import bigram, dictionary, features, generate, report
from gpt_from_scratch.training.run.command_line import parse

TRIED = {"--max-new-tokens", "--sample-characters", "--n-samples", "--n-tokens", "--num-problems", "--url"}
TRIED |= {"--checkpoint", "--output", "--html"}


def both(older: str, value: str) -> tuple[list[str], list[str]]:
    """Words with the older name, and with today's."""
    assert older in TRIED
    return [older, value], [OLDER[older], value]


def test_settings_take_both() -> None:
    for words in both("--max-new-tokens", "7"):
        assert settings(generate.GenerateConfig, ["runs/a", *words], prog="x").max_new_tokens == 7
    for words in both("--sample-characters", "7"):
        assert bigram.parse(words).sample_characters == 7
    for words in both("--n-samples", "77"):
        assert settings(dictionary.DictionaryConfig, words, prog="x").n_samples == 77
    for words in both("--n-tokens", "77"):
        assert features.parse(words).n_tokens == 77


def test_evals_take_both() -> None:
    for words in both("--num-problems", "7"):
        assert (
            text_command._parser("arithmetic", arithmetic).parse_args([*words, "--model", "oracle"]).num_problems == 7
        )
    for words in both("--url", "http://127.0.0.1:1"):
        assert sad._parser().parse_args(["check", "--model", "m", *words]).url == "http://127.0.0.1:1"


def test_scoring_takes_both(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[argparse.Namespace] = []
    monkeypatch.setattr(scoring, "imported", lambda name, target: lambda args: asked.append(args) or 0)
    scoring.core(["runs/a"])
    scoring.core(["--checkpoint", "runs/a"])
    assert [args.run for args in asked] == ["runs/a", "runs/a"] and vars(asked[0]) == vars(asked[1])


@pytest.mark.parametrize("words", [[], ["a", "--checkpoint", "b"]])
def test_one_model_is_named(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    parser = ArgumentParser(prog="gpt serve")
    add_run(parser)
    with pytest.raises(SystemExit) as end:
        the_run(parser, parser.parse_args(words))
    assert end.value.code == 2 and "name one model, as RUN" in capsys.readouterr().err


def test_pages_take_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: list[Any] = []

    def write_page(runs: object, place: Path) -> Path:
        written.append(place)
        return place

    monkeypatch.setattr(report, "imported", lambda name, target: write_page)
    monkeypatch.setattr(report, "read_run", lambda folder: argparse.Namespace(warnings=[], folder=folder))
    for words in both("--output", "x.html"):
        report.main(["runs/a", *words])
    assert written == [Path("x.html")] * 2
    monkeypatch.setattr(tokenizers, "open_tokenizer", lambda path: None)
    monkeypatch.setattr(tokenizers, "write_token_page", lambda place, *rest: written.append(place))
    for words in both("--html", "y.html"):
        tokenizers.main(["show", "gpt2", "text", *words])
    assert written[2:] == [Path("y.html")] * 2


def test_all_were_tried() -> None:
    assert set(OLDER) == TRIED


@pytest.mark.parametrize("words", [["--out", "some/runs/first"], ["--out=some/runs/first"]])
def test_a_runs_folder_is_named_by_out(words: list[str]) -> None:
    run = parse(["tiny", *words, "--steps", "3"]).train.run
    assert (run.folder, run.name) == (Path("some/runs"), "first")
    with pytest.raises(ValueError, match="name the run's own folder"):
        parse(["--out", ""])
