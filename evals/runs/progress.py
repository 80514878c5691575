"""Progress of a run: one line on a terminal, or occasional lines in a log."""

import dataclasses
import shutil
import sys
import time
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from gpt_from_scratch.support.command_line.streams import survivor
from gpt_from_scratch.support.visible import visible


@runtime_checkable
class Stream(Protocol):
    """The required methods of a text file."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> None: ...

    def isatty(self) -> bool: ...


@dataclasses.dataclass
class Status:
    """The figures that a run shows."""

    total: int
    done: int = 0
    errors: int = 0
    scored: int = 0
    score: float = 0.0
    cost: float = 0.0
    retries: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def add(self, score: float | None, *, failed: bool) -> None:
        """One row more."""
        self.done += 1
        self.errors += failed
        if score is not None:
            self.scored += 1
            self.score += score

    def line(self, seconds: float, began_with: int) -> str:
        parts = [f"{self.done}/{self.total}"]
        if self.scored:
            parts.append(f"score {self.score / self.scored:.3f}")
        if self.errors:
            parts.append(f"{self.errors} failed")
        if self.retries:
            kinds = ", ".join(f"{count} × {kind}" for kind, count in sorted(self.retries.items()))
            parts.append(f"tried again: {kinds}")
        if self.cost:
            parts.append(f"${self.cost:.4f}")
        rate = (self.done - began_with) / seconds if seconds > 0 else 0.0
        if 0 < self.done < self.total and rate > 0:
            parts.append(f"{rate:.1f}/s, {(self.total - self.done) / rate:.0f} s left")
        return " · ".join(parts)


class ProgressLine:
    """Prints `Status` as it changes: rewritten in place on a terminal, else every tenth of the way.

    stream: where; None is the standard error of the moment, so that it never mixes with a result
    """

    def __init__(self, label: str, stream: Stream | None = None) -> None:
        self.label = label
        self.stream = survivor(stream or sys.stderr)  # a failed display must not end the run
        self._live = self.stream.isatty()
        self._started = time.monotonic()
        self._last = 0.0
        self._next_done = 0
        self._shown = ""
        self._began_with: int | None = None

    def say(self, text: str) -> None:
        """One line that stays."""
        print(visible(text), file=self.stream, flush=True)

    def update(self, status: Status, *, last: bool = False) -> None:
        """Show `status`, at most four times a second, and in any case when it is the last."""
        if self._began_with is None:
            self._began_with = status.done
        now = time.monotonic()
        due = now - self._last >= 0.25 if self._live else status.done >= self._next_done
        if not (due or last):
            return
        self._last = now
        self._next_done = status.done + max(1, status.total // 10)
        text = f"{visible(self.label)}: {status.line(now - self._started, self._began_with)}"
        if not self._live and text == self._shown:  # the last line was due already
            return
        self._shown = text
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{text[:width]}", end="\n" if last else "", file=self.stream, flush=True)
        else:
            print(text, file=self.stream, flush=True)
