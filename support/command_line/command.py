"""The outermost layer of every command: whatever ends it becomes a few words and an exit status.

    if __name__ == "__main__":  # at the top of the script, so that Ctrl-C during imports is one line as well
        from gpt_from_scratch.support.command_line.command import run_command

        run_command("generate", "gpt_from_scratch.training.generate:main")

Exit status: 0 done; 1 a defect of ours, with its traceback; 2 a mistake of the user's, in at most three lines; 130 stopped by
Ctrl-C; 141 nobody reads the output any more. A command may return another status of its own. ``GPT_TRACEBACK=1`` shows
where a mistake was found.
"""

import contextlib
import importlib
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

from gpt_from_scratch.support.command_line.streams import end_output, open_closed_streams
from gpt_from_scratch.support.visible import visible

MISTAKE, INTERRUPTED, NOBODY_READS = 2, 128 + signal.SIGINT, 128 + signal.SIGPIPE
MOST_LINES = 3
SECONDS_OF_SILENCE = 1.5
MISTAKES = (ValueError, OSError, RuntimeError, ImportError, MemoryError)
"""What a user can put right: a value, a file, the machine and what is asked of it, a package that is missing."""
PACKAGE = __name__.partition(".")[0]
DEFECTS = (RecursionError, NotImplementedError)
"""Subclasses of these that no user can put right."""


def run_command(name: str, target: str) -> NoReturn:
    """Import a command, call it with the words of the command line, and exit with its status.

    Args:
        name: What the command calls itself in its messages.
        target: ``module:function``; the function takes a list of words and returns an exit status, or None for 0.
    """

    def call() -> int | str | None:
        status: int | None = imported(name, target)(sys.argv[1:])
        return status

    open_closed_streams()
    show_any_text()
    warnings.showwarning = say_warning
    try:
        os.getcwd()  # noqa: PTH109 (pathlib would take its time before Ctrl-C is caught)
    except OSError:  # libraries would end in words of their own, some without an exception
        complain("error: the current folder is no longer there: go to another one (cd), then try again")
        sys.exit(MISTAKE)
    status = status_of(name, call)
    end_output()
    sys.exit(status)


def imported(name: str, target: str) -> Any:
    """What "module:attribute" names; Ctrl-C while it is imported ends the process at once.

    A command parses its words first and imports its work then, so that help and mistakes do not wait for torch.
    """
    module, _, attribute = target.partition(":")
    with ending_at_once(name), saying_that_it_loads():
        return getattr(importlib.import_module(module), attribute)


@contextlib.contextmanager
def saying_that_it_loads() -> Iterator[None]:
    """A line at a terminal while the block takes longer than a moment, as importing torch from a cold disk does."""
    if not (sys.stderr.isatty() and _speaks()):
        yield
        return
    said = threading.Event()

    def say() -> None:
        said.set()
        print("loading ...", end="", file=sys.stderr, flush=True)

    timer = threading.Timer(SECONDS_OF_SILENCE, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if said.is_set():
            print("\r\033[K", end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def ending_at_once(name: str) -> Iterator[None]:
    """Ctrl-C ends the process on the spot while the block runs, which has begun nothing that could be lost.

    An exception would not do: a library that is imported half can be asked for once more, and then fails in other words, or
    hides that it failed.
    """

    def end(number: int, frame: FrameType | None) -> None:
        if _speaks():
            with contextlib.suppress(OSError):  # nobody reads it
                os.write(2, f"{name}: stopped by Ctrl-C\n".encode())
        os._exit(INTERRUPTED)

    if threading.current_thread() is not threading.main_thread() or (
        signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def status_of(name: str, call: Callable[[], int | str | None]) -> int | str | None:
    """The exit status of a call. What ended it is printed on standard error; a defect of ours is raised as it is."""
    try:
        status = call()
        sys.stdout.flush()
        return status
    except KeyboardInterrupt as stopped:
        # A second Ctrl-C, while Python ends its threads, ends the process without a word.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        hint = f"; {stopped}" if str(stopped) else ""
        if _speaks():
            complain(f"{name}: stopped by Ctrl-C{hint}")
        return INTERRUPTED
    except BrokenPipeError:
        return NOBODY_READS
    except SystemExit as end:
        # rich answers a closed pipe with SystemExit(1).
        return NOBODY_READS if isinstance(end.__context__, BrokenPipeError) else end.code
    except DEFECTS:
        raise
    except MISTAKES as error:
        if isinstance(error, ImportError) and (error.name or "").startswith(PACKAGE):
            raise  # a module of ours
        if os.environ.get("GPT_TRACEBACK"):
            traceback.print_exc()
        complain(f"error: {in_words(error)}")
        return MISTAKE


def _speaks() -> bool:
    """Whether this is the process that says what all those of torchrun's on this host meet: the first, or the only one."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def complain(message: str) -> None:
    """Print a message on standard error: at most `MOST_LINES` lines, and nothing that steers a terminal."""
    with contextlib.suppress(OSError):  # nobody reads it
        print(visible(shortened(message)), file=sys.stderr, flush=True)


def say_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """A warning in words, for `warnings.showwarning`: where in the code it was given helps nobody at a command line."""
    words = f"warning: {message}"
    if file is None:
        complain(words)
    else:
        file.write(f"{words}\n")


def in_words(error: BaseException) -> str:
    """An error's message. Of an error of the operating system: the file's name and what is wrong with it."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        names = " -> ".join(os.fsdecode(name) for name in (error.filename, error.filename2) if name is not None)
        return f"{names}: {error.strerror[0].lower()}{error.strerror[1:]}"
    return str(error) or type(error).__name__


def shortened(message: str, most_lines: int = MOST_LINES) -> str:
    """The message's first lines, and how many more there were."""
    lines = [line for line in message.splitlines() if line.strip()]
    if len(lines) <= most_lines:
        return "\n".join(lines)
    return "\n".join([*lines[: most_lines - 1], f"... and {len(lines) - most_lines + 1} more like it"])


def show_any_text() -> None:
    """Characters that the terminal's encoding lacks are printed as escapes from here on, and end no command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
