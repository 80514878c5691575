"""Ctrl-C, SIGTERM, SIGHUP and SIGQUIT ask a run to stop: it saves its state after the step at hand. Ctrl-C again ends it.

Before the first step is done there is nothing to save, and the first signal ends the run. Each is acknowledged at once, by a
thread of its own: Python calls a handler only when the operation at hand is over, which may compile for a minute.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

# torchrun hands a signal on to its workers, which may have had it from the terminal already: that is still the first one.
SAME_SIGNAL_SECONDS = 1.0
GRACE_SECONDS = 2.0
"""How long a process may take to end by itself when it is to end at once."""
STOPPING = tuple(
    signal.Signals(getattr(signal, name))
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    if hasattr(signal, name)
)

NOTHING_YET = "before the first step was done, so there is nothing to save"


class Stopped(KeyboardInterrupt):
    """A signal ended the run at once: before there was anything to save, or because it came twice."""

    def __init__(self, number: signal.Signals, message: str) -> None:
        super().__init__(message)
        self.number = number

    @property
    def status(self) -> int:
        """The exit status of a process that a signal ended."""
        return 128 + self.number


class StopRequest:
    """Whether someone asked to stop."""

    def __init__(self, *, speaks: bool = True, ends_process: bool = False, waits: bool = False) -> None:
        """
        Args:
            speaks: whether this process acknowledges a signal, on standard error.
            ends_process: whether it is ended by force where it does not end in `GRACE_SECONDS` when it should at once.
            waits: a signal before the first step waits for it, too, since other hosts learn of it only there.
        """
        self.signal: signal.Signals | None = None
        self.waits = self._always_waits = waits
        """Whether a signal waits for the end of the step at hand; else it ends the run at once."""
        self._speaks, self._ends_process = speaks, ends_process
        self._at = 0.0
        self._over = threading.Event()

    @contextlib.contextmanager
    def ending_at_once(self) -> Iterator[None]:
        """What the block does is no loss if it is cut short."""
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
            raise Stopped(signal.SIGINT, "at once; the last whole checkpoint stays")

    @contextlib.contextmanager
    def listening(self) -> Iterator["StopRequest"]:
        """Take the signals over while the block runs. SIGHUP stays ignored where it is, as under `nohup`.

        Only the main thread can; in another one nothing changes.
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
            if self._ends_process:  # Python would wait for a save under way, and for whatever a library has begun
                force = threading.Timer(GRACE_SECONDS, os._exit, [stopped.status])
                force.daemon = True
                force.start()
            raise
        except Exception as error:
            if self.signal is not None and not self.waits:  # an import that is cut short fails in other words
                raise Stopped(self.signal, NOTHING_YET) from error
            raise
        finally:
            self._over.set()
            signal.set_wakeup_fd(woken)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(writer)  # the thread reads the end, and goes
            watcher.join()
            os.close(reader)

    def _watch(self, reader: int) -> None:
        """In a thread: acknowledge each signal the moment it comes, and end a process that should have ended."""
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
                    self._say("stopping at once; the last whole checkpoint stays")
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
        """Give the process a while to end; `unless_it_waits`: nor is it ended where the step at hand turned out to be done."""
        if self._ends_process and not self._over.wait(GRACE_SECONDS) and not (unless_it_waits and self.waits):
            os._exit(128 + number)
