"""Entry point of every command: converts exceptions to short messages and exit statuses.

    if __name__ == "__main__":  # at the top of the script, so that Ctrl-C during imports is one line as well
        from gpt_from_scratch.support.command_line.command import run_command

        run_command("generate", "gpt_from_scratch.training.generate:main")

Exit status: 0 done; 1 a bug, with its traceback; 2 a user's mistake, in at most three lines; 130 stopped by Ctrl-C; 141 the
output's reader is gone. A command may return other statuses. ``GPT_TRACEBACK=1`` shows the traceback of a mistake.
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
"""Errors that a user can correct: a value, a file, the machine, a missing package."""
PACKAGE = __name__.partition(".")[0]
DEFECTS = (RecursionError, NotImplementedError)
"""Subclasses of these that are bugs."""


def run_command(name: str, target: str) -> NoReturn:
    """Import a command, call it with the command line's arguments, and exit with its status.

    Args:
        name: the command's name in messages.
        target: ``module:function``; the function takes a list of words and returns an exit status, or None for 0.
    """

    def call() -> int | str | None:
        status: int | None = imported(name, target)(sys.argv[1:])
        return status

    understand_utf_8()
    open_closed_streams()
    show_any_text()
    warnings.showwarning = say_warning
    try:
        os.getcwd()  # noqa: PTH109 (pathlib would take its time before Ctrl-C is caught)
    except OSError:  # libraries would print other messages, some without an exception
        complain("error: the current folder is no longer there: go to another one (cd), then try again")
        sys.exit(MISTAKE)
    status = status_of(name, call)
    end_output()
    sys.exit(status)


def understand_utf_8() -> None:
    """Start this process anew in Python's UTF-8 mode where the locale knows ASCII alone (``LC_ALL=C``).

    There a prompt, a pattern and a file's name beyond ASCII would reach us as pieces that are no characters. What is printed
    stays ASCII. Python 3.15 has this mode everywhere.
    """
    overruled = os.environ.get("PYTHONUTF8") == "1"  # by -X utf8=0
    if sys.getfilesystemencoding() != "ascii" or overruled:
        return
    with contextlib.suppress(OSError):  # no program of that name any more: then without
        os.execve(sys.executable, sys.orig_argv, {"PYTHONIOENCODING": "ascii", **os.environ, "PYTHONUTF8": "1"})


def imported(name: str, target: str) -> Any:
    """Import "module:attribute". Ctrl-C during the import ends the process at once.

    A command first parses its arguments, so that help and usage errors need no torch.
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
    """Context in which Ctrl-C ends the process at once, since no work can be lost.

    An exception would not be enough: a partially imported library may be imported again, and then fail with other errors or
        hide them.
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
    """Call a function and return its exit status. Errors are printed on standard error; bugs are raised."""
    try:
        status = call()
        sys.stdout.flush()
        return status
    except KeyboardInterrupt as stopped:
        # A second Ctrl-C, while Python ends its threads, ends the process without a message.
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
            raise  # a module of this project
        if os.environ.get("GPT_TRACEBACK"):
            traceback.print_exc()
        complain(f"error: {in_words(error)}")
        return MISTAKE


def _speaks() -> bool:
    """Whether this process prints messages that are common to all of torchrun's processes on this host."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def complain(message: str) -> None:
    """Print a message on standard error, in at most `MOST_LINES` lines, without control characters."""
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
    """`warnings.showwarning` that prints only the message, without the place in the code."""
    words = f"warning: {message}"
    if file is None:
        complain(words)
    else:
        file.write(f"{words}\n")


def in_words(error: BaseException) -> str:
    """An error's message; for an operating-system error, the file's name and the reason."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        names = " -> ".join(os.fsdecode(name) for name in (error.filename, error.filename2) if name is not None)
        return f"{names}: {error.strerror[0].lower()}{error.strerror[1:]}"
    return str(error) or type(error).__name__


def shortened(message: str, most_lines: int = MOST_LINES) -> str:
    """The message's first lines, and the number of further lines."""
    lines = [line for line in message.splitlines() if line.strip()]
    if len(lines) <= most_lines:
        return "\n".join(lines)
    return "\n".join([*lines[: most_lines - 1], f"... and {len(lines) - most_lines + 1} more like it"])


def show_any_text() -> None:
    """Print characters that the terminal's encoding lacks as escapes from now on."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
