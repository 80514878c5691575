"""The --help of every command: usage, description, examples, and options by groups.

It is generated from the parser, argparse's or tyro's, so that it is always correct.
"""

import argparse
import re
import shutil
import textwrap
from typing import Any

from gpt_from_scratch.support.command_line.shared_options import OLDER

Parser = Any
Action = Any
"""An action of argparse or of tyro's copy of it, which has other classes with the same attributes."""
WIDEST, NARROWEST = 120, 40
HANG = 28
"""Maximum columns of an option's name before its text."""
KINDS = {"INT": "N", "FLOAT": "X", "STR": "TEXT"}
"""Names of value types in tyro, and how they are shown."""


def help_text(parser: Parser, width: int | None = None) -> str:
    """The text of --help.

    Args:
        width: number of columns; None: the terminal's, or 100 without one, and at most `WIDEST`.
    """
    columns = width or max(NARROWEST, min(WIDEST, shutil.get_terminal_size((100, 24)).columns))
    about, examples = _described(parser.description or "", columns)
    blocks = [_filled(f"usage: {_usage(parser)}", columns), *about]
    if examples:
        blocks.append("\n".join(["Examples", *(f"  {line}" for line in examples)]))
    for group in parser._action_groups:
        rows = [row for action in group._group_actions if (row := _row(parser, action, columns)) is not None]
        if rows:
            title = (group.title or "options").replace("positional arguments", "arguments")
            note = " ".join((group.description or "").split())
            head = textwrap.fill(f"{title}: {note}" if note else title, columns)
            blocks.append("\n".join([head, *rows]))
    return "\n\n".join(blocks) + "\n"


def names_of(action: Action) -> tuple[str, list[str]]:
    """An option's name, and its older aliases."""
    older = [name for name in action.option_strings if name in OLDER]
    return next(name for name in action.option_strings if name not in OLDER), older


def _negated(name: str) -> str:
    """--model.no-bias of --model.bias."""
    head, dot, last = name.lstrip("-").rpartition(".")
    return f"--{head}{dot}no-{last}"


def _described(text: str, columns: int) -> tuple[list[str], list[str]]:
    """A description's paragraphs, with indented blocks as examples."""
    about: list[str] = []
    examples: list[str] = []
    for block in re.split(r"\n\s*\n", text.lstrip("\n").rstrip()):
        lines = block.splitlines()
        if all(line.startswith("    ") for line in lines):
            examples += [line.strip() for line in lines]
        elif any(line.startswith("  ") for line in lines):  # a list: each line stays one
            about.append("\n".join(textwrap.fill(line, columns, subsequent_indent=" " * 26) for line in lines))
        else:
            about.append(_filled(" ".join(block.split()), columns))
    return about, examples


def _usage(parser: Parser) -> str:
    words, options = [parser.prog], False
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        name = _value(action)
        if not action.option_strings:
            words.append(f"[{name}]" if _may_be_left_out(action) else name)
        elif action.required:
            words.append(f"{names_of(action)[0]} {name}".rstrip())
        else:
            options = True
    return " ".join([*words, "[options]"] if options else words)


def _may_be_left_out(action: Action) -> bool:
    return action.nargs in ("?", "*") or "(default:" in (action.help or "")


def _row(parser: Parser, action: Action, columns: int) -> str | None:
    """An option with its value, and its description beside or below it."""
    if action.help == argparse.SUPPRESS:
        return None
    older: list[str] = []
    if action.option_strings:
        first, older = names_of(action)
        if _negated(first) in action.option_strings:
            head, dot, last = first.lstrip("-").rpartition(".")
            first = f"--{head}{dot}[no-]{last}"
        name = "-h, --help" if "--help" in action.option_strings else f"{first} {_value(action)}".rstrip()
    else:
        name = _value(action)
    text = _about(parser, action)
    if older:
        text += f" (also: {', '.join(older)})"
    lines = textwrap.wrap(text, columns - HANG, break_long_words=False, break_on_hyphens=False) or [""]
    start = f"  {name}"
    if len(start) + 2 <= HANG:
        return "\n".join([f"{start:<{HANG}}{lines[0]}".rstrip(), *(f"{'':<{HANG}}{line}" for line in lines[1:])])
    return "\n".join([start, *(f"{'':<{HANG}}{line}" for line in lines)])


def _about(parser: Parser, action: Action) -> str:
    """An option's description, in one line, with its default."""
    # argparse's own texts have %(default)s and the like in them; those that tyro makes are as they are shown, but for "%%".
    made_by_tyro = type(parser).__module__.partition(".")[0] == "tyro"
    text = (
        (action.help or "").replace("%%", "%")
        if made_by_tyro
        else parser._get_formatter()._expand_help(action)
        if action.help
        else ""
    )
    text = " ".join(text.split())
    text = re.sub(r" ?\((?:required|default: (?:None|''|\"\")?)\)(?=$| \()", "", text)
    return text.replace("(default: False)", "(default: no)").replace("(default: True)", "(default: yes)")


def _value(action: Action) -> str:
    """Placeholder of an option's value: N, X, TEXT, PATH, or its choices."""
    if action.nargs == 0 or type(action).__name__ == "BooleanOptionalAction":
        return ""
    shown: Any = action.metavar
    if isinstance(shown, tuple):
        return " ".join(shown)
    if shown is None:
        if action.choices is not None:
            shown = "{" + ",".join(map(str, action.choices)) + "}"
        else:
            kind = getattr(action.type, "__name__", "")
            shown = {"int": "N", "read": "N", "_positive": "N", "float": "X", "a_path": "PATH"}.get(kind, "TEXT")
            if not action.option_strings:
                shown = action.dest.upper()
    shown = shown.replace("{None}|", "").removeprefix("{").removesuffix("}") if "{None}" in shown else shown
    shown = re.sub(r"\[*(\w+) \[\1 \.\.\.\]+", r"\1 ...", shown)
    shown = re.sub(r"^\[(\w+)\]$", r"\1", shown)
    shown = re.sub(r"\b(INT|FLOAT|STR)\b", lambda kind: KINDS[kind[1]], shown)
    many = action.nargs in ("+", "*") and "..." not in shown
    return f"{shown} ..." if many else shown


def _filled(text: str, columns: int) -> str:
    return textwrap.fill(text, columns, break_long_words=False, break_on_hyphens=False)
