"""Pages of the documentation: each block has a known language and mark, and what cannot be run here at least parses."""

import shlex
import subprocess
from pathlib import Path

import pytest

from gpt_from_scratch.__main__ import chosen
from tests.docs.pages import MARKS, NEEDS, PAGES, RUN, SHOWN, Block, blocks, fits, name_of


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_say_what_they_are(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("\n```") % 2 == 0, "a block is not closed"
    assert len(blocks(page)) == text.count("\n```") // 2, "a block was not understood"
    for block in blocks(page):
        assert block.language in RUN | SHOWN, f"line {block.line}: a block needs a language: {sorted(RUN | SHOWN)}"
        assert not block.mark or block.mark in MARKS, f"line {block.line}: {block.mark!r} is none of {sorted(MARKS)}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_command_hides_in_an_indented_block(page: Path) -> None:
    """Only fenced blocks are run: an indented one would go unseen."""
    for line in page.read_text(encoding="utf-8").splitlines():
        assert not line.startswith(("    $ ", "    gpt ", "    python ", "    torchrun ", "    pip ")), line


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_cannot_be_run_here_parses(page: Path) -> None:
    for block in blocks(page):
        if block.mark in NEEDS:
            parse(block)


def parse(block: Block) -> None:
    if block.language == "python":
        compile(block.body, f"line {block.line}", "exec")
        return
    for command, _ in block.commands:
        subprocess.run(["bash", "-n", "-c", command], check=True)
        for line in command.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["gpt"] and not words[1].startswith("-"):
                chosen(words[1:])


def test_the_shown_lines_may_leave_some_out() -> None:
    printed = ["one", "two", "three", "four"]
    assert fits(printed, printed) and fits(printed, ["..."]) and fits(printed, ["one", "...", "four"])
    assert not fits(printed, ["one", "...", "three"]) and not fits(printed, ["two", "..."])
