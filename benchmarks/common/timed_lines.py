"""A command's output, line by line, with the seconds since its start."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]


def timed_lines(command: Sequence[str], cores: Sequence[int] | None = None) -> Iterator[tuple[float, str]]:
    """(seconds, line) of all output, from the project's root. A reader that needs no more closes the iterator, which ends the
    command by SIGTERM and waits for it.

    Args:
        cores: to run on, with a thread each; default: whatever this process has.

    Raises:
        RuntimeError: the command ended with an error; its output is part of the message.
    """
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    if cores is not None:
        environment["OMP_NUM_THREADS"] = str(len(cores))
    started, said = time.perf_counter(), []
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=None if cores is None else lambda: os.sched_setaffinity(0, cores),
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                said.append(line)
                yield time.perf_counter() - started, line
        except GeneratorExit:
            process.send_signal(signal.SIGTERM)  # torchrun hands it on, and waits for its worker
            process.communicate()
            raise
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}:\n{''.join(said)}")
