"""Live report: a separate process redraws a run's page while the run goes on."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from gpt_from_scratch.training.report.headline import is_running
from gpt_from_scratch.training.report.page import write_page
from gpt_from_scratch.training.report.run_data import METRICS_FILE, RUN_FILE, read_run

PAUSE = 5.0
"""Minimum number of seconds between two drawings."""
REST = 5
"""The pause is also at least this many times as long as a drawing took, since the run needs the processor more."""


def follow(folder: Path, output: Path | None = None, *, drawn: Callable[[Path], None] = lambda path: None) -> Path:
    """Draw a run's report whenever there is something new, until the run has ended or this process's parent has.

    The last page, which is returned, no longer opens itself again.

    Args:
        drawn: called with the page's path once it is there for the first time.

    Raises:
        FileNotFoundError: The folder is not a run.
    """
    parent, told, took = os.getppid(), False, 0.0
    seen: tuple[int, ...] | None = None
    while True:
        new = tuple((folder / name).stat().st_mtime_ns for name in (METRICS_FILE, RUN_FILE) if (folder / name).exists())
        goes_on = os.getppid() == parent
        if new != seen or not goes_on:
            began = time.monotonic()
            run = read_run(folder)
            goes_on = goes_on and is_running(run)
            path = write_page([run], output, live=goes_on)
            seen, took = new, time.monotonic() - began
            if not told:
                drawn(path)
                told = True
            if not goes_on:
                return path
        time.sleep(max(PAUSE, REST * took))
