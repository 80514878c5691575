"""Signal handling: Ctrl-C, SIGTERM, SIGHUP and SIGQUIT stop a run after the current step, with its state saved.

A second Ctrl-C ends it at once. Before the first step is done there is nothing to save, and the first signal ends the run.
A separate thread acknowledges each signal at once, because Python calls a handler only after the current operation, which
may compile for a minute.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

# torchrun forwards a signal to its workers, which may already have it from the terminal: both count as one signal.
SAME_SIGNAL_SECONDS = 1.0
GRACE_SECONDS = 2.0
"""Seconds that a process has to end by itself when it must end at once."""
STOPPING = tuple(
    signal.Signals(getattr(signal, name))
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    if hasattr(signal, name)
)

NOTHING_YET = "before the first step was done, so there is nothing to save"


class Stopped(KeyboardInterrupt):
    """A signal ended the run at once, because there was nothing to save or it came twice."""

    def __init__(self, number: signal.Signals, message: str) -> None:
        super().__init__(message)
        self.number = number

    @property
    def status(self) -> int:
        """Exit status of a process that was ended by a signal."""
        return 128 + self.number


class StopRequest:
    """Whether a stop was requested by a signal."""

    def __init__(self, *, speaks: bool = True, ends_process: bool = False, waits: bool = False) -> None:
        """
        Args:
            speaks: whether this process acknowledges a signal on standard error.
            ends_process: whether it is killed if it must end at once and does not within `GRACE_SECONDS`.
            waits: whether a signal before the first step also waits for that step, because other hosts are informed only
                there.
        """
        self.signal: signal.Signals | None = None
        self.waits = self._always_waits = waits
        """Whether a signal waits for the end of the current step; otherwise it ends the run at once."""
        self._speaks, self._ends_process = speaks, ends_process
        self._at = 0.0
        self._over = threading.Event()

    @contextlib.contextmanager
    def ending_at_once(self) -> Iterator[None]:
        """Context of work that may be interrupted without a loss."""
        self.waits = self._always_waits
        try:
            yield
        finally:
            self.waits = True

    @property
    def requested(self) -> bool:
        """True from the first signal on."""
        return self.signal is not None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The signal handler.

        Raises:
            Stopped: the run ends here and now.
        """
        now = time.monotonic()
        if self.signal is None:
            self.signal, self._at = signal.Signals(number), now
            if not self.waits:
                raise Stopped(self.signal, NOTHING_YET)
        elif number == signal.SIGINT and now - self._at > SAME_SIGNAL_SECONDS:
            raise Stopped(signal.SIGINT, "at once; the last complete checkpoint stays")

    @contextlib.contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """Handle the signals while the block runs.

        SIGHUP stays ignored if it is (as under `nohup`). This has no effect outside of the main thread.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        taken = [n for n in STOPPING if n == signal.SIGINT or signal.getsignal(n) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self.handle) for number in taken}
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        woken = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        watcher = threading.Thread(target=self._watch, args=(reader,), name="signals", daemon=True)
        watcher.start()
        try:
            yield self
        except Stopped as stopped:
            if self._ends_process:  # Python would wait for a running save and for threads of libraries
                force = threading.Timer(GRACE_SECONDS, os._exit, [stopped.status])
                force.daemon = True
                force.start()
            raise
        except Exception as error:
            if self.signal is not None and not self.waits:  # an interrupted import raises other errors
                raise Stopped(self.signal, NOTHING_YET) from error
            raise
        finally:
            self._over.set()
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(writer)  # the thread reads end-of-file and ends
            watcher.join()
            os.close(reader)

    def _watch(self, reader: int) -> None:
        """In a thread: acknowledge each signal at once, and kill a process that should have ended."""
        first: float | None = None
        while numbers := os.read(reader, 64):
            for number in numbers:
                if number not in STOPPING:
                    continue
                now = time.monotonic()
                if first is None:
                    first = now
                    self._acknowledge(signal.Signals(number))
                    if not self.waits:
                        self._end_by_force(number, unless_it_waits=True)
                elif number == signal.SIGINT and now - first > SAME_SIGNAL_SECONDS:
                    self._say("stopping at once; the last complete checkpoint stays")
                    self._end_by_force(number)

    def _acknowledge(self, number: signal.Signals) -> None:
        again = "; Ctrl-C again stops at once, without saving" if number == signal.SIGINT else ""
        self._say(
            f"{number.name}: stopping after this step and saving{again}"
            if self.waits
            else f"{number.name}: stopping; there is nothing to save yet"
        )

    def _say(self, text: str) -> None:
        if self._speaks:
            with contextlib.suppress(OSError):  # nobody reads it
                os.write(2, f"\n{text} ...\n".encode())

    def _end_by_force(self, number: int, *, unless_it_waits: bool = False) -> None:
        """Kill the process if it does not end in time, except with `unless_it_waits` after a completed step."""
        if self._ends_process and not self._over.wait(GRACE_SECONDS) and not (unless_it_waits and self.waits):
            os._exit(128 + number)
