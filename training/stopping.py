"""Ctrl-C and SIGTERM ask a run to stop: it saves its state after the step at hand. A second Ctrl-C ends it at once."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# torchrun hands a signal on to its workers, which may have had it from the terminal already: that is still the first one.
SAME_SIGNAL_SECONDS = 1.0


class StopRequest:
    """Whether someone asked to stop."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._at = 0.0

    @property
    def requested(self) -> bool:
        """True from the first signal on."""
        return self.signal is not None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        now = time.monotonic()
        if self.signal is None:
            self.signal, self._at = signal.Signals(number), now
        elif number == signal.SIGINT and now - self._at > SAME_SIGNAL_SECONDS:
            raise KeyboardInterrupt

    @contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """Take SIGINT and SIGTERM over while the block runs."""
        before = {number: signal.signal(number, self.handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
