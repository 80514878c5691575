"""Printed commands work in the shell that they were printed in."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gpt_from_scratch.support.command_line.invocation import (
    DISTRIBUTION,
    SHELL_PATH,
    extras,
    gpt,
    how_to_install,
    quoted,
)

BIN = Path(sys.prefix) / "bin"


@pytest.mark.parametrize("word", ["a b", "it's", "$HOME", "a;touch X", "--", "", "é\n"])
def test_every_word_arrives_as_it_is(word: str, tmp_path: Path) -> None:
    line = gpt("learn", word)
    said = subprocess.run(["sh", "-c", f"printf '%s\\0' {line}"], capture_output=True, check=True, cwd=tmp_path).stdout
    assert said.decode().split("\0")[-3:-1] == ["learn", word]
    assert not (tmp_path / "X").exists()


@pytest.mark.parametrize("name", ["-a", "--out", "-c $(x) 'q'", "a"])
def test_a_path_is_never_read_as_an_option(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(name)
    word = quoted(Path(name))
    assert gpt("prepare", Path(name)).endswith(f" prepare {word}")
    assert (
        subprocess.run(["sh", "-c", f"cat {word}"], capture_output=True, check=True, cwd=tmp_path).stdout
        == name.encode()
    )


def test_an_active_environment_needs_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SHELL_PATH, f"{BIN}{os.pathsep}/usr/bin")
    assert gpt("train") == "gpt train"
    monkeypatch.setenv(SHELL_PATH, "/usr/bin")  # as under make, which has the environment on a PATH of its own
    assert shlex.split(gpt("train"))[0].endswith("bin/gpt")
    monkeypatch.delenv(SHELL_PATH)
    monkeypatch.setenv("PATH", str(BIN))
    assert gpt("train") == "gpt train"


def test_from_the_folder_of_the_environment_the_path_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SHELL_PATH, "/usr/bin")
    monkeypatch.chdir(Path(sys.prefix).parent)
    assert gpt("train") == f"{Path(sys.prefix).name}/bin/gpt train"


def test_the_printed_line_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = subprocess.run(["sh", "-c", gpt("--version")], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("gpt (provengpt) ")


def test_every_extra_is_known_with_what_it_adds() -> None:
    found = extras()
    assert {"evals", "serve", "hf", "tiktoken"} <= found.keys()
    assert [name.split(">")[0] for name in found["tiktoken"]] == ["tiktoken"]
    assert how_to_install("evals", "serve").endswith("[evals,serve]'")


def test_only_one_place_words_how_an_extra_is_installed() -> None:
    """A message that words it itself is wrong in a clone, or in an installed package: all ask `how_to_install`."""
    root = Path(__file__).parents[3]
    folders = ("support", "kernels", "models", "tokenizer", "evals", "training")
    files = [path for folder in folders for path in (root / folder).rglob("*.py")]
    assert len(files) > 100
    worded = [str(path) for path in files if f"{DISTRIBUTION}[" in path.read_text(encoding="utf-8")]
    assert not worded
    assert not [
        page for page in (root / "docs").rglob("*.md") if f"{DISTRIBUTION}[" in page.read_text(encoding="utf-8")
    ]
