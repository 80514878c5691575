"""A call with an end: the wait for it leaves room for signals."""

import threading

import pytest

from gpt_from_scratch.evals.protocol import deadline
from gpt_from_scratch.evals.protocol.deadline import TookTooLongError, within


@pytest.mark.parametrize("seconds", [0.2, None])
def test_no_wait_is_longer_than_a_turn(seconds: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that came just before a wait is heard after it."""
    waits: list[float | None] = []
    join = threading.Thread.join

    def watched(thread: threading.Thread, timeout: float | None = None) -> None:
        waits.append(timeout)
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", watched)
    monkeypatch.setattr(deadline, "TURN", 0.01)
    done = threading.Event()
    if seconds is None:
        threading.Timer(0.1, done.set).start()
        assert within(None, "work", done.wait) is True
    else:
        with pytest.raises(TookTooLongError, match=r"work took longer than 0\.2 s"):
            within(seconds, "work", done.wait)
    done.set()
    assert len(waits) > 3 and all(wait is not None and wait <= 0.01 for wait in waits)
