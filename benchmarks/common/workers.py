"""Worker processes for contenders, which stay alive and compute only on request.

So each has its own memory, its own threads and its own compiled code, and all can still take turns within one run:

    with Worker("ours", "gpt_from_scratch.benchmarks.cpu.step_contenders:Ours", {"batch": 1}) as worker:
        worker.ask("steps", count=1)

The class is made in the process from the arguments, which are JSON, as are a method's arguments and result.
"""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

PAUSE_SECONDS = 0.1
"""Before a turn: the threads of the contender before have stopped spinning at their barrier."""


class Worker:
    """A process that holds one object and calls its methods."""

    def __init__(
        self, name: str, target: str, arguments: Mapping[str, Any], environment: Mapping[str, str] | None = None
    ) -> None:
        """
        Args:
            target: "module:Class".
            environment: variables beside this process's own.
        """
        self.name = name
        command = [
            sys.executable,
            "-m",
            "gpt_from_scratch.benchmarks.common.workers",
            target,
            json.dumps(dict(arguments)),
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | dict(environment or {})
        )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        if kind is not None:
            self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def ask(self, method: str, **arguments: Any) -> Any:
        """The method's result.

        Raises:
            RuntimeError: the process ended; its traceback is on stderr.
        """
        self.send(method, **arguments)
        return self.receive()

    def send(self, method: str, **arguments: Any) -> None:
        """Ask without waiting: several processes then compute at once."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps([method, arguments]) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error

    def receive(self) -> Any:
        """The result of what was sent."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise self._ended()
        return json.loads(line)

    def peak_bytes(self) -> int | None:
        """Peak resident memory since `forget_peak`; None except on Linux."""
        path = Path(f"/proc/{self.process.pid}/status")
        if not path.exists():
            return None
        lines = (line.partition(":") for line in path.read_text(encoding="utf-8").splitlines())
        return next(int(value.split()[0]) * 1024 for name, _, value in lines if name == "VmHWM")

    def forget_peak(self) -> None:
        """Reset the peak, so that loading and compiling do not count."""
        path = Path(f"/proc/{self.process.pid}/clear_refs")
        if path.exists():
            path.write_text("5", encoding="ascii")

    def _ended(self) -> RuntimeError:
        status = self.process.wait()
        hint = ": killed, as the system does when memory is short" if status == -9 else ""
        return RuntimeError(f"{self.name} ended with status {status}{hint}")


def in_turn(workers: Mapping[str, Worker], method: str, **arguments: Any) -> dict[str, Any]:
    """One turn of each: name → result."""
    results = {}
    for name, worker in workers.items():
        time.sleep(PAUSE_SECONDS)
        results[name] = worker.ask(method, **arguments)
    return results


def main(target: str, arguments: str) -> None:
    """Make the object, then answer until there are no more questions; `close`, where it has one, comes last."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    module, _, kind = target.partition(":")
    held = getattr(importlib.import_module(module), kind)(**json.loads(arguments))
    for line in sys.stdin:
        method, given = json.loads(line)
        answers.write(json.dumps(getattr(held, method)(**given)) + "\n")
        answers.flush()
    if hasattr(held, "close"):
        held.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
