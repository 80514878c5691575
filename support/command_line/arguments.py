"""Argument parsers whose errors take two lines: the mistake, and how to get help."""

import argparse
import contextlib
import difflib
import functools
import inspect
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from gpt_from_scratch.support.command_line.command import MISTAKE, complain, shortened
from gpt_from_scratch.support.command_line.help import help_text
from gpt_from_scratch.support.command_line.invocation import gpt
from gpt_from_scratch.support.command_line.settings import LARGEST

HELP_FLAGS = {"-h", "--help"}


class ArgumentParser(argparse.ArgumentParser):
    """argparse's parser with errors in two lines, and a suggestion for an unknown option."""

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """Parse one value of an option. Whole numbers have a bound."""
        value = super()._get_value(action, arg_string)
        if isinstance(value, int) and abs(value) > LARGEST:
            raise argparse.ArgumentError(action, f"{shortened(arg_string)} is too large: give a number below 2^63")
        return value

    def format_help(self) -> str:
        """The text of --help, in the common format."""
        return help_text(self)

    def error(self, message: str) -> NoReturn:
        """Print the mistake and exit with status 2."""
        unknown = re.fullmatch(r"unrecognized arguments: (\S+).*", message, flags=re.DOTALL)
        guess = _did_you_mean(unknown[1], list(self._option_string_actions)) if unknown else ""
        complain(f"error: {message}.{guess}\n{_help(self.prog)}")
        self.exit(MISTAKE)


def a_path(text: str) -> Path:
    """argparse `type=` for a path.

    Raises:
        argparse.ArgumentTypeError: the text is empty, which would mean the current folder.
    """
    try:
        return _not_empty(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def a_text(text: str) -> str:
    """A text of the command line that a model or a tokenizer reads.

    Raises:
        ValueError: its bytes were not UTF-8; the tokenizer would read other characters in their place.
    """
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(f"{text!r} is not UTF-8 text: write it in UTF-8, or set the terminal to UTF-8")
    return text


def a_number(least: int, most: int) -> Callable[[str], int]:
    """argparse `type=` for a whole number between two bounds."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {least} to {most:,}, got {shortened(repr(text))}"
            )
        return number

    return read


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the argument RUN, a trained model, and its older name --checkpoint. See `the_run`."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run, a checkpoint, a model's folder, or gpt2")
    parser.add_argument("--checkpoint", metavar="RUN", help=argparse.SUPPRESS)


def the_run(parser: argparse.ArgumentParser, args: argparse.Namespace) -> str:
    """The model given as RUN or --checkpoint; an error if none or two are given."""
    named = [one for one in (args.run, args.checkpoint) if one is not None]
    del args.checkpoint
    if len(named) != 1:
        parser.error(f"name one model, as RUN; {len(named) or 'none'} were given")
    return str(named[0])


EMPTY_PATH = "the path is empty (is a variable of the shell not set?); . is the current folder"


def settings(kind: Any, arguments: Sequence[str] | None, *, prog: str, **options: Any) -> Any:
    """Parse a command line into the dataclass `kind` by tyro, with tyro's `options`.

    Prints help and exits with 0 if requested; prints an error in two lines and exits with 2.
    """
    import tyro

    words = sys.argv[1:] if arguments is None else list(arguments)
    if HELP_FLAGS & set(words):
        print_help(kind, prog=prog, **options)
    with mistakes_of_tyro(prog):
        return tyro.cli(kind, prog=prog, args=words, registry=_paths(), **options)


def print_help(kind: Any, **options: Any) -> NoReturn:
    """Print tyro's help in the common format, and exit with 0."""
    import tyro

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # no other function of tyro's gives the parser
        parser = tyro.extras.get_parser(kind, registry=_paths(), **options)
    print(help_text(parser), end="")
    sys.exit(0)


def subcommand(commands: dict[str, Callable[..., Any]], arguments: Sequence[str] | None, *, prog: str) -> Any:
    """Call the command named by the first word, whose options are its parameters, and return its result.

    Raises:
        ValueError: there is no such command.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if not words:
        raise ValueError(f"{prog} needs a subcommand: {', '.join(commands)}\n{_help(prog)}")
    if words[0] in HELP_FLAGS:
        width = max(map(len, commands))
        lines = [f"  {name:<{width}}  {_text_of(function).partition('.')[0]}" for name, function in commands.items()]
        text = "\n".join([f"usage: {prog} COMMAND ...", "", *lines, "", f"{prog} COMMAND --help shows its options."])
        print(text)
        sys.exit(0)
    name, *rest = words
    if name not in commands:
        raise ValueError(f"there is no command {name!r}.{_did_you_mean(name, list(commands))}\n{_help(prog)}")
    function = commands[name]
    chosen = settings(_later(function), rest, prog=f"{prog} {name}", description=_text_of(function))
    return chosen()


def _text_of(function: Callable[..., Any]) -> str:
    """A function's docstring without the sections about parameters."""
    return (inspect.getdoc(function) or "").partition("\nArgs:")[0].strip()


@contextlib.contextmanager
def mistakes_of_tyro(prog: str) -> Iterator[None]:
    """Context that prints tyro's boxed errors as two lines."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "10000"  # no line of the box is broken
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as end:
        if end.code == MISTAKE:
            complain(f"error: {without_box(said.getvalue())}\n{_help(prog)}")
        raise
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def without_box(box: str) -> str:
    """One line from tyro's box: the error, and its suggestion, if any."""
    rows = [line.strip(" │\r") for line in box.splitlines() if not line.startswith(("╭", "╰"))]
    parts: list[list[str]] = [[]]
    for row in rows:
        if len(row) > 5 and set(row) <= {"─", "-"}:
            parts.append([])
        elif row:
            parts[-1].append(row)
    if "╭" not in box and len(parts) > 1:  # for a terminal without these characters: the title is a part of its own
        parts = parts[1:]
    message = " ".join(parts[0]).removeprefix("Error parsing ")
    message = re.sub(r"invalid literal for int\(\) with base 10: ", "expected a whole number, got ", message)
    message = re.sub(r"could not convert string to float: ", "expected a number, got ", message)
    for part in parts[1:]:
        if part and part[0].startswith("Perhaps you meant") and len(part) > 1:
            message += f". Did you mean {part[1].split()[0]}?"
        elif part and part[0].startswith("Available subcommands"):
            message += f". {part[0]}"
    return message


def _help(prog: str) -> str:
    """The line about --help, with the program's name in this environment."""
    words = [word for word in prog.split() if not word.startswith("[")]
    called = gpt(*words[1:]) if words[:1] == ["gpt"] else " ".join(words)
    return f"{called} --help shows all options"


def _paths() -> Any:
    """tyro's rules, with an additional one that refuses empty paths."""
    from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

    registry = ConstructorRegistry()

    @registry.primitive_rule
    def path(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Path] | None:
        if info.type is not Path:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="PATH",
            instance_from_str=lambda words: _not_empty(words[0]),
            is_instance=lambda value: isinstance(value, Path),
            str_from_instance=lambda value: [str(value)],
        )

    return registry


def _not_empty(text: str) -> Path:
    if not text:
        raise ValueError(EMPTY_PATH)
    return Path(text)


def _later(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the same signature that returns the call without making it."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return functools.partial(function, *args, **kwargs)

    return call


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word.partition("=")[0], known, n=1)
    return f" Did you mean {near[0]}?" if near else ""
