"""python -m gpt_from_scratch.evals COMMAND: each command lives in its own module, imported only when it is asked for."""

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
    """What a command is for, and "module:function"; the function takes the words after the command."""

    about: str
    target: str


COMMANDS = {
    "compare": Command("the paired difference of two runs over the same samples", "results.compare:main"),
    "hellaswag": Command(
        "HellaSwag of a checkpoint, in both public styles and all four norms", "scoring.command_line:hellaswag"
    ),
    "core": Command("the CORE metric of a checkpoint", "scoring.command_line:core"),
    "bits-per-byte": Command("bits per byte of a checkpoint on a text", "scoring.command_line:bits_per_byte"),
    "serve": Command("an OpenAI-compatible server for a checkpoint", "serve.__main__:main"),
    "sad": Command("the Situational Awareness Dataset, from your own clone of it", "sad:main"),
}
"""Commands that are no text eval; a text eval is a file in tasks/."""


def text_evals() -> dict[str, str]:
    """Each text eval with the first sentence of its function's docstring, read without importing anything."""
    found = {}
    paths = (path for folder in tasks.__path__ for path in Path(folder).glob("[a-z]*.py"))
    for path in sorted(paths, key=lambda path: path.stem):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name == path.stem:
                found[path.stem] = (ast.get_docstring(node) or "").partition("\n")[0]
    return found


def usage() -> str:
    """What --help prints."""
    scored = {name: command.about for name, command in COMMANDS.items()}
    listings = ["\n".join(f"  {name:<14} {about}" for name, about in group.items()) for group in (text_evals(), scored)]
    return (
        "usage: gpt eval COMMAND ...\n\n"
        f"Ask a model questions (--model NAME)\n{listings[0]}\n\n"
        f"Score a checkpoint, serve it, compare\n{listings[1]}\n\ngpt eval COMMAND --help tells more."
    )


def main(argv: list[str]) -> int:
    """Run the command that `argv` begins with; its exit code.

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
        with surviving():  # what was asked and paid for is worth more than the lines about it
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
