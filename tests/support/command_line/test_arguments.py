"""Every command: a mistake on its line takes two lines and ends with status 2."""

import importlib
from collections.abc import Callable
from typing import Any

import pytest

from gpt_from_scratch.support.command_line.arguments import without_box
from gpt_from_scratch.support.command_line.command import status_of

COMMANDS = {
    "training.train_gpt2": [["--data", ""], ["--data"], ["--resume", ""], ["--preset", "tiny"], ["--preset", "foo"]],
    "training.commands.generate": [[""], [], ["x", "--prompt", "caf\udce9"]],
    "training.prepare": [
        [""],
        [],
        ["verify"],
        ["verify", ""],
        ["x.txt", "--out", ""],
    ],
    "training.commands.report": [[""], [], ["runs/x", "--output", ""]],
    "training.report.picture": [[""], []],
    "training.commands.attention": [[""], [], ["x", "--text", "caf\udce9"]],
    "training.commands.bigram": [["--data", ""], ["--stage", "none"], ["--preset", "none"]],
    "training.commands.dictionary": [["--out", ""], ["--n-samples", "many"]],
    "training.commands.features": [[""], ["--out", ""]],
    "training.data.stories.__main__": [["--num", "x"], ["--num", "0"], ["--check", "9" * 18], ["--seed", "9" * 30]],
    "evals.serve.__main__": [["x", "--port", "99999"], ["x", "--max-rows", "0"], ["x", "--max-queue", "9" * 30]],
    "kernels.__main__": [["--device", "none", "--target", "sm_1"], ["--inspect", "--out", ""]],
    "tokenizer.command_line": [
        ["trian"],
        [],
        ["show", ""],
        ["train", "x.txt", "--vocab-size", "many"],
        ["train", "x.txt", "--out", "t", "--pattern", "\udce9"],
    ],
    "evals.__main__": [
        ["arithmetik"],
        ["arithmetic"],
        ["arithmetic", "--model", "oracle", "--out", ""],
        *(["arithmetic", "--model", "oracle", "--num-problems", number] for number in ("0", "-1", "9" * 18, "9" * 30)),
        *(
            ["arithmetic", "--model", "oracle", f"--{name}", "9" * 18]
            for name in ("epochs", "max-concurrency", "few-shot")
        ),
        ["hellaswag", "--checkpoint", "x", "--data", ""],
        ["core", "--checkpoint", ""],
        ["bits-per-byte", "--checkpoint", "x"],
        ["compare", ""],
        ["serve", "--checkpoint", ""],
        ["sad", "chekc"],
    ],
}
CASES = [(module, words) for module, lines in COMMANDS.items() for words in lines]
CASES += [(module, ["--no-such-option"]) for module in COMMANDS]


def main_of(module: str) -> Callable[[list[str]], Any]:
    function: Callable[[list[str]], Any] = importlib.import_module(f"gpt_from_scratch.{module}").main
    return function


@pytest.mark.parametrize(
    ("module", "words"), CASES, ids=lambda value: " ".join(value) if isinstance(value, list) else value
)
def test_a_mistake_is_at_most_three_lines_and_status_2(
    module: str, words: list[str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").write_text("some text\n")
    assert status_of(module, lambda: main_of(module)(words)) == 2
    said = capfd.readouterr()
    lines = said.err.splitlines()
    assert 1 <= len(lines) <= 3 and lines[0].startswith("error"), said.err
    assert "Traceback" not in said.err and "tyro" not in said.err and "│" not in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.txt"], "a mistake leaves nothing behind"


@pytest.mark.parametrize("module", COMMANDS)
def test_help_is_printed_on_standard_output(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(module, lambda: main_of(module)(["--help"])) == 0
    said = capsys.readouterr()
    assert len(said.out) > 100 and not said.err


@pytest.mark.parametrize(
    ("words", "guess"),
    [(["--stesp", "3"], "Did you mean --steps?"), (["--steps", "abc"], "expected a whole number, got 'abc'")],
)
def test_a_mistake_says_what_to_do(words: list[str], guess: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of("train_gpt2", lambda: main_of("training.train_gpt2")(words)) == 2
    said = capsys.readouterr().err
    assert guess in said and said.endswith("--help shows all options\n")


def test_a_box_without_parts_is_still_words() -> None:
    assert without_box("╭─ Title ─╮\n│ what is wrong │\n╰──╯\n") == "what is wrong"
