"""Standard streams whose failures are ignored, because long work must not end with its display.

A pipe may lose its reader, a terminal hang up, a log's disk fill up, or an encoding lack a character. With `surviving`,
output that cannot be written is dropped, and the stream stores the reason.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any


class Survivor(io.TextIOBase):
    """Wrapper of a text stream (None: a closed one) that stores errors instead of raising them.

    Characters that cannot be encoded are written as escapes. Output that cannot be written is dropped. Later output is
    tried again, since a full disk may have space then.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.lost: str | None = None
        """Reason of the first dropped output."""

    def write(self, text: str, /) -> int:
        try:
            if self.stream is not None:
                self._put(self.stream, text)
        except (OSError, ValueError) as error:  # ValueError: it was closed
            self.lost = self.lost or str(error)
        return len(text)

    def flush(self) -> None:
        try:
            if self.stream is not None:
                self.stream.flush()
        except (OSError, ValueError) as error:
            self.lost = self.lost or str(error)

    def isatty(self) -> bool:
        try:
            return self.stream is not None and self.stream.isatty()
        except (OSError, ValueError):
            return False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self.stream is None:
            raise io.UnsupportedOperation("the stream is closed")
        number: int = self.stream.fileno()
        return number

    @property
    def encoding(self) -> str:  # type: ignore[override]  # typeshed has an attribute
        return getattr(self.stream, "encoding", None) or "utf-8"

    def __getattr__(self, name: str) -> Any:
        """All other attributes of the stream: buffer, errors, reconfigure …"""
        return getattr(self.stream, name)

    def _put(self, stream: Any, text: str) -> None:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))


def survivor(stream: Any) -> Survivor:
    """Wrap a stream as a `Survivor`, unless it is one already."""
    return stream if isinstance(stream, Survivor) else Survivor(stream)


@contextlib.contextmanager
def surviving() -> Iterator[None]:
    """Context in which errors of standard output and error are ignored, also for data left in their buffers."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = survivor(before[0]), survivor(before[1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        end_output()


def end_output() -> None:
    """Flush the buffers, ignoring errors, so that Python's exit prints none."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # the reader is gone, the disk is full, or the stream is closed
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def open_closed_streams() -> None:
    """Open /dev/null as the standard streams of a process that was started without them (`>&-`).

    Otherwise the first opened file gets their descriptor, and a library's output would go into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor, which is this one
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
