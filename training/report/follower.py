"""The process that draws a run's report while the run goes on."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def followed(folder: Path) -> Iterator[None]:
    """While the block runs, another process draws the report of the run in this folder; a browser shows it."""
    command = [sys.executable, "-m", "gpt_from_scratch", "report", str(folder), "--live", "--open"]
    # A session of its own: Ctrl-C is the run's, which ends this process when it has ended itself.
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            yield
        finally:
            process.terminate()
