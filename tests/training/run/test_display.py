"""A display that fails in every way that it can: no method of it raises, and it says since when it is lost."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from gpt_from_scratch.kernels.backends import Choice
from gpt_from_scratch.training.evaluation.samples import Sample
from gpt_from_scratch.training.metrics.records.eval import Eval
from gpt_from_scratch.training.metrics.records.train import Train
from gpt_from_scratch.training.run.console import Display

EVAL = Eval(3, loss=2.0, bits_per_byte=0.7, ratio=1.25, nats=10.0, floor_nats=8.0)


def step(number: int, mfu: float | None = None) -> Train:
    return Train(number, loss=1.0, lr=1e-3, grad_norm=0.5, tokens_per_s=1000.0, mfu=mfu)


def show_everything(display: Display) -> None:
    display.say("🙂 words")
    display.backends([Choice("attention", "torch", "why")], "cpu", "fp32", ["compiled"])
    display.start(0)
    display.progress(step(3, 0.25))
    display.record(EVAL, "  (best so far)")
    display.samples(3, [Sample("🙂\ud800 \x1b[2J", "é")])
    display.warn("🙂")
    display.close()


class Broken(io.StringIO):
    """A terminal, or a file, whose every write fails."""

    def __init__(self, error: BaseException, terminal: bool) -> None:
        super().__init__()
        self.error, self.terminal = error, terminal

    def write(self, text: str, /) -> int:
        raise self.error

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(
    "error",
    [BrokenPipeError(32, "Broken pipe"), OSError(5, "gone"), ValueError("closed"), RuntimeError("odd"), SystemExit(1)],
    ids=repr,
)
def test_no_failure_of_its_stream_leaves_it(error: BaseException, terminal: bool) -> None:
    display = Display(10, console=Console(file=Broken(error, terminal)))
    show_everything(display)
    assert display.lost is not None and display.lost.startswith("at step 0: ") and str(error) in display.lost


def test_the_step_at_which_it_was_lost_is_kept() -> None:
    stream = Broken(OSError(5, "gone"), terminal=False)
    working: Callable[[str], int] = io.StringIO().write
    stream.write = working  # type: ignore[method-assign]
    display = Display(10, console=Console(file=stream))
    show_everything(display)
    assert display.lost is None
    display.progress(step(7))
    del stream.write  # type: ignore[attr-defined]
    show_everything(display)
    assert display.lost == "at step 7: [Errno 5] gone"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_an_encoding_that_lacks_a_character_loses_nothing(encoding: str) -> None:
    file = io.BytesIO()
    display = Display(10, console=Console(file=io.TextIOWrapper(file, encoding=encoding)))
    show_everything(display)
    assert display.lost is None and b"\\U0001f642 words" in file.getvalue()


@pytest.mark.parametrize("term", ["", "dumb", "no-such-terminal", "xterm-256color"])
@pytest.mark.parametrize("columns", ["0", "1", "-5", "many", "100000"])
def test_an_odd_terminal_is_shown_something(term: str, columns: str) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    console = Console(file=terminal, _environ={"TERM": term, "COLUMNS": columns, "LINES": columns})
    display = Display(10, console=console)
    show_everything(display)
    assert display.lost is None and "wor" in terminal.getvalue().replace("\n", "")


def test_the_time_left_is_that_of_steps_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels are compiled in the first steps: ten that took 60 s say nothing of those that follow."""
    file = io.StringIO()
    display = Display(40, console=Console(file=file, width=200))
    for number, seconds in ((0, 0.0), (10, 60.0), (20, 65.0), (30, 70.0)):
        monkeypatch.setattr("time.monotonic", lambda now=seconds: now)
        display.start(0) if number == 0 else display.progress(step(number))
    lines = file.getvalue().splitlines()
    assert " left" not in lines[0]
    assert lines[1].endswith("  10 s left") and lines[2].endswith("  5 s left")
