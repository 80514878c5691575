"""Mistakes in every command, made from its own help: at most three lines, exit status 2. And Ctrl-C is one line."""

import importlib
import itertools
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.__main__ import COMMANDS, chosen
from gpt_from_scratch.support.command_line.command import MISTAKE, MOST_LINES, status_of
from tests.support.command_line.test_help import ALL

NOT_OURS = {"bench": "its options are pytest's", "eval sad": "its options are another program's"}
OURS = [words for words in ALL if words not in NOT_OURS]
NUMBERS, FILES, MOST_MISTAKES = {"N", "X", "SECONDS", "DOLLARS"}, {"PATH", "FILE", "FOLDER", "RUN"}, 12


def function_of(words: str) -> tuple[Callable[[list[str]], Any], list[str]]:
    """What a command calls, and the words that it has been given by its name."""
    name, first = chosen(words.split())
    module, _, function = COMMANDS[name].target.partition(":")
    return getattr(importlib.import_module(module), function), first


def mistakes_in(text: str) -> Iterator[list[str]]:
    """Wrong words, from what --help prints: an unknown option, a file that is not there, values that an option cannot have."""
    needed = re.findall(r" ([A-Z]+)(?= |$)", text.partition("\n")[0].partition("[options]")[0])
    nowhere = ["no/such"] * len(needed)
    yield [*nowhere, "--no-such-option"]
    if nowhere:
        yield nowhere
        yield []
    for option, takes in re.findall(r"^  (--[\w.-]+) (\{\S+\}|[A-Z]+)(?= |$)", text, flags=re.M):
        if takes in NUMBERS or takes.startswith("{"):
            yield [*nowhere, option, "many"]
        if takes in FILES or takes in NUMBERS:
            yield [*nowhere, option]


@pytest.mark.parametrize("words", OURS)
def test_a_mistake_is_told_in_three_lines(
    words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    called, first = function_of(words)
    status_of(words, lambda: called([*first, "--help"]))
    made = list(mistakes_in(capsys.readouterr().out))
    assert made
    for rest in itertools.islice(made, 0, None, len(made) // MOST_MISTAKES + 1):
        status = status_of(words, lambda rest=rest: called([*first, *rest]))  # type: ignore[misc]
        said = capsys.readouterr()
        told = f"gpt {words} {' '.join(rest)}:\n{said.out}{said.err}"
        assert status == MISTAKE and not said.out and 1 <= len(said.err.splitlines()) <= MOST_LINES, told
    assert not list(tmp_path.iterdir()), "a mistake has left something"


STOPPED = """
import os, signal, sys

class Stopping:
    "Sends this process Ctrl-C when it looks for its n-th module; prints how many there were."
    def __init__(self, n):
        self.left, self.n = n, 0
    def find_spec(self, name, path=None, target=None):
        self.n += 1
        if self.n == self.left:
            os.kill(os.getpid(), signal.SIGINT)

from gpt_from_scratch.__main__ import COMMANDS, chosen, main

def run(words, n, out):
    "In a child: stopped at the n-th import; its status and what it said."
    read, write = os.pipe()
    if not (child := os.fork()):
        os.dup2(write, 2)
        os.dup2(write if n == 0 else os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = ["gpt", *words, "--help"]
        sys.meta_path.insert(0, stopping := Stopping(n))
        try:
            main()
        except SystemExit as end:
            sys.stdout.flush()
            if n == 0:
                os.write(write, f"\\n{stopping.n}".encode())
            os._exit(end.code or 0)
        os._exit(99)
    os.close(write)
    with os.fdopen(read) as file:
        said = file.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said

for words in sys.argv[1:]:
    status, said = run(words.split(), 0, True)
    many = int(said.rpartition("\\n")[2])
    for n in sorted({1, many // 3, many * 2 // 3, many}):
        status, said = run(words.split(), n, False)
        print(words, n, status, repr(said), sep="\\t")
"""


def test_ctrl_c_at_any_time_before_the_work_is_one_line() -> None:
    """A process that forks one child for each command and each of four moments: its imports have been made once."""
    names = [words for words in OURS if words.count(" ") == 0 or words in COMMANDS]
    run = subprocess.run([sys.executable, "-c", STOPPED, *names], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    rows = [line.split("\t") for line in run.stdout.splitlines()]
    assert {row[0] for row in rows} == set(names) and len(rows) >= 3 * len(names)
    for words, n, status, said in rows:
        assert (status, said) == ("130", repr(f"gpt {words}: stopped by Ctrl-C\n")), (words, n, status, said)
