"""--help of every command: at once, without torch, unbroken, with examples; and options have one name each."""

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gpt_from_scratch.__main__ import COMMANDS
from gpt_from_scratch.evals.__main__ import COMMANDS as SCORED
from gpt_from_scratch.evals.__main__ import text_evals
from gpt_from_scratch.support.command_line.shared_options import OLDER, SHARED
from gpt_from_scratch.tokenizer.command_line import COMMANDS as OF_TOKENIZERS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "options.md"
GROUPS = ("eval", "tokenizer")
"""Commands that have others below them."""
ALL = [
    *(name for name in COMMANDS if name not in GROUPS),
    *(f"eval {name}" for name in (*text_evals(), *SCORED)),
    *(f"tokenizer {name}" for name in OF_TOKENIZERS),
    "prepare verify",
]
COLUMNS = 90


@functools.cache
def help_of(words: str) -> tuple[str, set[str]]:
    """What --help of a command prints, and the modules that it imports."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gpt_from_scratch", *words.split(), "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": str(COLUMNS)},
    )
    assert run.returncode == 0, run.stderr[-2000:]
    rows = [line for line in run.stderr.splitlines() if not line.startswith("import time:")]
    assert not rows, rows
    return run.stdout, {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}


def options_of(words: str) -> dict[str, tuple[str, ...]]:
    """Each option of a command (RUN, too) with its older names, as its help says."""
    found: dict[str, tuple[str, ...]] = {}
    text = help_of(words)[0].partition("\nExamples\n")
    rows = re.split(r"\n(?=  \S)", text[0] + text[2].partition("\n\n")[2])
    for row in rows:
        if name := re.match(r"  (--[\w.\[\]-]+|RUN)(?= |\n|$)", row):
            also = re.search(r"\(also: ([^)]*)\)", " ".join(row.split()))
            found[name[1].replace("[no-]", "")] = tuple(also[1].split(", ")) if also else ()
    return found


@pytest.mark.parametrize("words", [*ALL, *GROUPS])
def test_help_is_there_at_once(words: str) -> None:
    text, modules = help_of(words)
    assert text.startswith(f"usage: gpt {words}") or words.startswith("eval "), text
    heavy = {"torch", "numba", "matplotlib", "transformers", "pandas", "openai", "anthropic"} & modules
    assert not heavy, f"{words} --help imports {heavy}"


@pytest.mark.parametrize("words", ALL)
def test_no_line_is_broken_or_too_long(words: str) -> None:
    text = help_of(words)[0]
    before, _, after = text.partition("\nExamples\n")
    _, _, after = after.partition("\n\n")
    for line in (before + after).splitlines():
        # A list of the words that an option takes is never broken.
        assert len(line) <= COLUMNS or len(line.split()) <= 2, line
        assert not set("│╭╰─") & set(line), line
    assert "%%" not in text and "{None}" not in text and "(default: None)" not in text and "Namespace" not in text


@pytest.mark.parametrize("words", ALL)
def test_examples_use_what_there_is(words: str) -> None:
    text = help_of(words)[0]
    examples = text.partition("\nExamples\n")[2].partition("\n\n")[0].splitlines()
    assert examples, "no example"
    for line in examples:
        assert line.startswith(("  gpt ", "  export ")), line
        if not line.startswith(f"  gpt {words}"):  # how to go on: another command
            continue
        for option in re.findall(r"(?<= )--[\w.-]+", line.partition("  # ")[0]):
            row = rf"^  ({re.escape(option)}|--\[no-\]{option[2:]})( |$)"
            assert re.search(row, text, flags=re.M), f"{line}: the help has no {option}"


def test_options_have_one_name_each() -> None:
    for words in ALL:
        for name, older in options_of(words).items():
            assert name not in OLDER, f"gpt {words} calls {OLDER.get(name)} {name}"
            for one in older:
                assert OLDER.get(one) == name, f"gpt {words}: {one} is not listed as an older name of {name}"


def table() -> str:
    """The page's table, made from the commands themselves."""
    takes: dict[str, list[str]] = {shared.name: [] for shared in SHARED}
    for words in ALL:
        for name in options_of(words):
            if name in takes:
                takes[name].append(words)
    lines = ["| option | what it is | commands | older names |", "|---|---|---|---|"]
    for shared in SHARED:
        older = ", ".join(f"`{name}`" for name in shared.older)
        lines.append(f"| `{shared.name}` | {shared.about} | {', '.join(takes[shared.name])} | {older} |")
    return "\n".join(lines)


def test_the_page_lists_them() -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = text[text.index("| option |") :].partition("\n\n")[0].rstrip()
    assert shown == table(), f"docs/reference/options.md should have:\n{table()}"
    assert all(row.split("|")[3].strip() for row in shown.splitlines()[2:]), "an option that no command has"
