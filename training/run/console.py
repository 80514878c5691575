"""The console of a run: a live line on a terminal, plain lines elsewhere. Only rank 0 shows anything.

A failure here never ends a run: the display records since which step it is off.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from gpt_from_scratch.kernels.backends import Choice
from gpt_from_scratch.support.command_line.streams import survivor
from gpt_from_scratch.support.units import duration
from gpt_from_scratch.support.visible import visible
from gpt_from_scratch.training.evaluation.samples import Sample
from gpt_from_scratch.training.metrics.record import Record, metrics, values

WIDE = 140  # minimum columns for a progress bar before the metrics
NARROW = 20  # below this a terminal's reported width is not believed
PLAIN_SECONDS = 3.0  # without a terminal, seconds between two lines of training metrics


Given = ParamSpec("Given")


def _guarded(method: "Callable[Concatenate[Display, Given], None]") -> "Callable[Concatenate[Display, Given], None]":
    """Decorator for a display's method: turn the display off if the method fails."""

    @functools.wraps(method)
    def shown(self: "Display", /, *given: Given.args, **named: Given.kwargs) -> None:
        try:
            method(self, *given, **named)
        # A terminal or its library may raise anything: rich raises SystemExit for a closed pipe.
        except (Exception, SystemExit) as error:
            self._note_loss(f"{type(error).__name__}: {error}")
        self._note_loss(self._stream.lost)

    return shown


class Display:
    """Console output for people; programs read `metrics.jsonl`."""

    def __init__(self, steps: int, *, shows: bool = True, console: Console | None = None) -> None:
        self.console = console or Console(quiet=not shows, highlight=False, soft_wrap=True)
        self._stream = survivor(self.console.file)
        self.console.file = cast(TextIO, self._stream)
        if self.console.width < NARROW:  # COLUMNS=0, or a pseudo-terminal without a width
            self.console.width = 80
        self.steps, self._step = steps, 0
        self.lost: str | None = None
        """Since when the display is off, and why: "at step 40: Broken pipe"."""
        self.facts: dict[str, Any] = {}
        """Fields of run.json that metrics are compared with, such as the floor."""
        self._progress: Progress | None = None
        self._last_plain = 0.0
        self._rates: list[tuple[int, float]] = []

    @_guarded
    def say(self, text: str = "", style: str | None = None) -> None:
        """Print a line."""
        self.console.print(text, style=style, markup=False)

    @_guarded
    def warn(self, text: str) -> None:
        """Print a warning."""
        self.console.print(f"warning: {text}", style="yellow", markup=False)

    @_guarded
    def backends(self, choices: Sequence[Choice], device: str, dtype: str, quicker: Sequence[str]) -> None:
        """Print op, backend and reason, device and dtype."""
        table = Table(
            "op", "backend", "why", title=f"device {device}, activations {dtype}, parameters fp32", title_justify="left"
        )
        for choice in choices:
            table.add_row(choice.op, choice.backend, choice.reason)
        self.console.print(table)
        if quicker:
            self.say(
                f"Faster backends are available here ({', '.join(quicker)}): --backend fastest times them and uses the "
                "fastest."
            )

    @_guarded
    def show(self, table: Table) -> None:
        """Print a table."""
        self.console.print(table)

    @_guarded
    def start(self, step: int) -> None:
        """Start the live line."""
        self._rates = [(step, time.monotonic())]
        if self.console.is_terminal and not self.console.quiet:
            bar = [BarColumn(bar_width=20)] if self.console.width >= WIDE else []
            self._progress = Progress(
                *bar, TextColumn("{task.fields[figures]}", markup=False), console=self.console, transient=True
            )
            self._progress.add_task("train", total=self.steps, completed=step, figures="")
            self._progress.start()

    @_guarded
    def close(self) -> None:
        """End the live line."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    @_guarded
    def progress(self, record: Record) -> None:
        """Show the metrics of the last few steps on the live line."""
        self._step = step = record.step
        now = time.monotonic()
        self._rates.append((step, now))
        left = self._left(step)
        figures = f"{self._said(record)}{left}"
        if self._progress is not None and self.console.width < len(figures):  # minimum progress for a line
            figures = f"{self._said(record, narrow=True)}{left}"
        if self._progress is not None:
            self._progress.update(self._progress.task_ids[0], completed=step, figures=figures)
        elif now - self._last_plain >= PLAIN_SECONDS or step == self.steps:
            self._last_plain = now
            self.say(figures)

    @_guarded
    def record(self, record: Record, note: str = "") -> None:
        """Print a line with the metrics of a record, if it has any."""
        if (text := self._said(record)) != self._place(record):
            self.say(text + note, style="bold")

    @_guarded
    def samples(self, step: int, samples: Sequence[Sample], show: int = 2) -> None:
        """Print the first few samples, and how many of all the grammar accepts."""
        for sample in samples[:show]:
            verdict = {True: "  [grammatical]", False: "  [not grammatical]", None: ""}[sample.grammatical]
            self.say(f"samples after step {step}{verdict}:", style="dim")
            self.console.print("  " + visible(sample.prompt + sample.text).replace("\n", "\n  "), markup=False)

    def _place(self, record: Record) -> str:
        return f"step {record.step}/{self.steps}"

    def _said(self, record: Record, *, narrow: bool = False) -> str:
        """The step, and each metric formatted by its description."""
        described, words = metrics(type(record)), [self._place(record)]
        for name, value in values(record).items():
            if described[name].line and (described[name].narrow or not narrow):
                words.append(described[name].said(value, self.facts, brief=narrow))
        return "  ".join(words)

    def _note_loss(self, reason: str | None) -> None:
        if reason is not None and self.lost is None:
            self.lost = f"at step {self._step}: {reason}"

    def _left(self, step: int) -> str:
        """Estimated time left, from the speed since half of the steps so far; empty until known.

        It includes evaluations, but not the first steps, in which kernels are compiled.
        """
        if len(self._rates) < 3:
            return ""
        middle = (self._rates[0][0] + step) // 2
        first = next(index for index, (at, _) in enumerate(self._rates) if at >= middle)
        first = max(min(first, len(self._rates) - 2), 1)
        (s0, t0), (s1, t1) = self._rates[first], self._rates[-1]
        seconds = (self.steps - step) * (t1 - t0) / max(s1 - s0, 1)
        return f"  {duration(seconds)} left"
