"""A server in a process of its own, as a test starts it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def serving(folder: Path, *options: str, **environment: str) -> Iterator[tuple[str, str]]:
    """A server's first line, and its address; interrupted at the block's end, and killed where the block failed."""
    command = [
        sys.executable,
        "-m",
        "gpt_from_scratch",
        "serve",
        str(folder),
        "--port",
        "0",
        "--device",
        "cpu",
        *options,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield line, line.split()[4].removesuffix("/v1")
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()
