"""Pages of the documentation, and the code blocks in them.

A block's language says what it is. `sh` is a script for a shell. `console` is lines for a shell, each after `$ `, with what
they print. `python` is a program, or with a title a file that later commands use. A comment above a block, `<!-- gpu -->`, says
that it needs what a test cannot have: a gpu, a key, a network, a cluster. Such a block is only parsed. `<!-- server -->` marks
a command that serves until Ctrl-C.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NEEDS = {"gpu", "key", "network", "cluster"}
"""Marks of blocks that are only parsed."""
MARKS = NEEDS | {"server", "first-hour"}  # first-hour: tests/first_hour runs it in a fresh clone
RUN, SHOWN = {"sh", "console", "python"}, {"text", "json", "toml", "html", "yaml"}
FENCE = re.compile(
    r"""
    (?: ^<!--\ (?P<mark>[a-z-]+)\ -->\n )?
    ^```(?P<language>\w*) (?: \ title="(?P<file>[^"]+)" )? \n
    (?P<body>.*?)
    ^```$
    """,
    re.M | re.S | re.X,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: language, mark or "", the file that it is or "", text, and the line where it begins."""

    language: str
    mark: str
    file: str
    body: str
    line: int

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """Each command of a `console` block with the lines that it must print, or a `sh` block as it is, with none."""
        if self.language == "sh":
            return [(self.body, [])]
        found: list[tuple[str, list[str]]] = []
        for line in self.body.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
        return found


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            found["language"],
            found["mark"] or "",
            found["file"] or "",
            found["body"],
            text.count("\n", 0, found.start("language")) + 1,
        )
        for found in FENCE.finditer(text)
    ]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def fits(printed: list[str], shown: list[str]) -> bool:
    """Whether the lines that were printed are those shown, where a line `...` stands for any number of lines."""
    if not shown:
        return not printed
    if shown[0].strip() == "...":
        return any(fits(printed[start:], shown[1:]) for start in range(len(printed) + 1))
    return bool(printed) and printed[0].rstrip() == shown[0].rstrip() and fits(printed[1:], shown[1:])
