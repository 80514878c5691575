"""A command's output as it comes: the seconds, how it ends, and how it is ended."""

import os
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gpt_from_scratch.benchmarks.common.timed_lines import timed_lines
from gpt_from_scratch.benchmarks.learning.time_to_loss import seconds_to_loss

CORE = min(os.sched_getaffinity(0))


def test_lines_come_with_their_seconds_and_a_failure_is_told() -> None:
    code = "import sys, time; print('one'); time.sleep(0.3); print('two'); sys.exit('no more')"
    lines = timed_lines([sys.executable, "-c", code])
    (first, one), (second, two) = next(lines), next(lines)
    assert (one, two) == ("one\n", "two\n") and second - first > 0.2
    with pytest.raises(RuntimeError, match="ended with status 1:\none\ntwo\nno more"):
        list(lines)


def test_a_reader_that_needs_no_more_ends_the_command(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        f"def end(*_): open({str(tmp_path / 'ended')!r}, 'w').close(); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('go'); time.sleep(60)"
    )
    with closing(timed_lines([sys.executable, "-c", code], [CORE])) as lines:
        next(lines)
    assert (tmp_path / "ended").exists(), "it was asked to, and waited for"


def test_the_first_loss_below_the_goal_is_what_counts() -> None:
    code = "for loss in ('2.0', '1.8', '1.7'): print('step 1  validation loss', loss)"
    assert seconds_to_loss([sys.executable, "-c", code], [CORE], 1.9)[1] == 1.8
    with pytest.raises(RuntimeError, match=r"1\.7\), not below 1\.5"):
        seconds_to_loss([sys.executable, "-c", code], [CORE], 1.5)
