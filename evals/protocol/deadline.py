"""Calls with a deadline, in a thread that is abandoned when the time is up, since Python cannot stop threads."""

import contextvars
import math
import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

TURN = 0.5
"""Seconds that a wait lasts at most before signals are looked for."""


def bound_of(seconds: float | None) -> float | None:
    """Seconds that a call may take; None, as infinity, is for ever.

    Raises:
        ValueError: it is no number above 0.
    """
    if seconds is None or seconds == math.inf:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise ValueError(f"timeout must be a number of seconds above 0, or None, not {seconds!r}")
    return min(seconds, threading.TIMEOUT_MAX)


class TookTooLongError(TimeoutError):
    """The call had not returned in time; its thread goes on, its result unused."""


def within(seconds: float | None, name: str, work: Callable[[], T]) -> T:
    """Run `work` with a time limit of `seconds` (None: no limit), and return or raise its outcome.

    A KeyboardInterrupt of the user's own ends the wait; one that `work` raises is raised as any other exception.

    Raises:
        TookTooLongError: the time is up.
        RuntimeError: the machine has no thread left.
    """
    outcome: list[tuple[T | None, BaseException | None]] = []

    def target() -> None:
        try:
            outcome.append((work(), None))
        except BaseException as error:  # raised again in the caller's thread, where it belongs
            outcome.append((None, error))

    # A daemon, so that one that was left behind does not keep Python from ending.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(target,), name=name, daemon=True)
    thread.start()
    until = math.inf if seconds is None else time.monotonic() + seconds
    # In short turns: a signal that comes just before a wait begins does not end it, and Ctrl-C would stay unheard.
    while thread.is_alive() and (left := until - time.monotonic()) > 0:
        thread.join(min(left, TURN))
    if not outcome:
        raise TookTooLongError(f"{name} took longer than {seconds} s")
    result, error = outcome[0]
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # without an error it is what `work` returned
