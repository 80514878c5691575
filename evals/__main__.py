"""python -m gpt_from_scratch.evals COMMAND: each command has its own module, which is imported on demand."""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("evals", "gpt_from_scratch.evals.__main__:main")


import ast
import difflib
import importlib
import sys
from pathlib import Path
from typing import NamedTuple

from gpt_from_scratch.evals import tasks
from gpt_from_scratch.support.command_line.command import ending_at_once
from gpt_from_scratch.support.command_line.streams import surviving


class Command(NamedTuple):
    """A command: its description, and "module:function". The function takes the remaining arguments."""

    about: str
    target: str


COMMANDS = {
    "compare": Command("compare two runs over the same questions", "results.compare:main"),
    "hellaswag": Command(
        "score a checkpoint on HellaSwag, in both public styles and all four normalizations",
        "scoring.command_line:hellaswag",
    ),
    "core": Command("score a checkpoint on the CORE metric", "scoring.command_line:core"),
    "bits-per-byte": Command("measure bits per byte of a checkpoint on a text", "scoring.command_line:bits_per_byte"),
    "serve": Command("serve a checkpoint with an OpenAI-compatible API", "serve.__main__:main"),
    "sad": Command("run the Situational Awareness Dataset, from your own clone of it", "sad:main"),
}
"""Commands other than text evals, which are the files in tasks/."""


def text_evals() -> dict[str, str]:
    """Text evals with the first sentence of their docstrings, parsed without importing them."""
    found = {}
    paths = (path for folder in tasks.__path__ for path in Path(folder).glob("[a-z]*.py"))
    for path in sorted(paths, key=lambda path: path.stem):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name == path.stem:
                found[path.stem] = (ast.get_docstring(node) or "").partition("\n")[0]
    return found


def usage() -> str:
    """The text of --help."""
    scored = {name: command.about for name, command in COMMANDS.items()}
    listings = ["\n".join(f"  {name:<14} {about}" for name, about in group.items()) for group in (text_evals(), scored)]
    return (
        "usage: gpt eval COMMAND ...\n\n"
        f"Ask a model questions (--model NAME)\n{listings[0]}\n\n"
        f"Score or serve a checkpoint, compare runs\n{listings[1]}\n\ngpt eval COMMAND --help shows its options."
    )


def main(argv: list[str]) -> int:
    """Run the command named by the first argument; returns its exit status.

    Raises:
        ValueError: there is no such command.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(usage(), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    name, *arguments = argv
    if name in COMMANDS:
        module, function = COMMANDS[name].target.split(":")
        with ending_at_once(f"gpt eval {name}"):
            command = getattr(importlib.import_module(f"gpt_from_scratch.evals.{module}"), function)
        with surviving():  # answers that were paid for are more important than the output
            code: int = command(arguments)
        return code
    known = [*text_evals(), *COMMANDS]
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there is no command {name!r}.{hint} The commands are: {', '.join(known)}")
    with ending_at_once(f"gpt eval {name}"):
        from gpt_from_scratch.evals import text_command
    with surviving():
        return text_command.main(name, arguments)
