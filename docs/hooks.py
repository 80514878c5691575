"""Hooks of the documentation site: pages made from the project itself, which therefore cannot be out of date.

`reference/command-line.md` is what each command's `--help` prints. `results.md` and `changes.md` are benchmarks/README.md
and CHANGELOG.md. Links that leave docs/ are written for readers of the repository, and become links of the site here.
"""

import contextlib
import os
import posixpath
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
BORROWED = {"benchmarks/README.md": "results.md", "CHANGELOG.md": "changes.md"}
"""Pages that lie elsewhere in the repository, with their places in the site."""
COMMAND_LINE = "reference/command-line.md"
PACKAGES = ("kernels", "models", "tokenizer", "training", "evals", "support")
SOURCES = ROOT / ".cache" / "api" / "gpt_from_scratch"
"""What mkdocstrings reads. The root of the repository as a package would hold .venv too, which takes it minutes."""
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def on_startup(**_: Any) -> None:
    """Link the packages into the folder that mkdocs.yml names for mkdocstrings, which looks there once, at its start."""
    SOURCES.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        with contextlib.suppress(FileExistsError):
            (SOURCES / name).symlink_to(Path("..", "..", "..", name))


def on_files(files: Files, config: Any) -> Files:
    """Add the pictures, the borrowed pages and the page of commands."""
    for path in sorted((ROOT / "images").iterdir()):
        files.append(File.generated(config, f"images/{path.name}", abs_src_path=str(path)))
    for source, place in BORROWED.items():
        files.append(File.generated(config, place, content=(ROOT / source).read_text(encoding="utf-8")))
    files.append(File.generated(config, COMMAND_LINE, content=command_line()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the page's links into links of the site; a file that the site does not hold is named without a link."""
    place = page.file.src_uri
    home = next((source for source, borrowed in BORROWED.items() if borrowed == place), f"docs/{place}")
    here = posixpath.dirname(place) or "."

    def turned(match: re.Match[str]) -> str:
        picture, text, target = match.groups()
        path, mark, anchor = target.partition("#")
        if not path or "://" in path:
            return match[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(home), path))
        if file.startswith("images/"):
            found = file
        elif file in BORROWED or file == "README.md":
            found = BORROWED.get(file, "index.md")
        elif file.startswith("docs/"):
            found = file.removeprefix("docs/")
        else:
            return f"`{file}`"
        return f"{picture}[{text}]({posixpath.relpath(found, here)}{mark}{anchor})"

    return LINK.sub(turned, markdown)


def command_line() -> str:
    """The page of commands: what `gpt --help` and each command's `--help` print."""
    from gpt_from_scratch.__main__ import GROUPS

    names = [name for group in GROUPS.values() for name in group]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        helps = dict(zip(names, pool.map(help_of, names), strict=True))
    parts = ["# Command line", "Made from each command's `--help`.", f"## gpt\n\n```text\n{help_of('')}\n```"]
    for group in GROUPS.values():
        parts += [f"## gpt {name}\n\n{group[name].about}.\n\n```text\n{helps[name]}\n```" for name in group]
    return "\n\n".join(parts)


def help_of(name: str) -> str:
    """What `gpt NAME --help` prints, in 100 columns."""
    environment = dict(os.environ, COLUMNS="100", NO_COLOR="1", TERM="dumb")
    command = [sys.executable, "-m", "gpt_from_scratch", *name.split(), "--help"]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return run.stdout.strip("\n").replace("```", "")
