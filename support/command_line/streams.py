"""Standard streams that end nothing: a display is worth less than the work that it shows.

A pipe loses its reader, a terminal hangs up, the disk of a log fills, an encoding lacks a character. Around long work
(`surviving`) what cannot be shown is then left out, and the stream remembers why.
"""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any


class Survivor(io.TextIOBase):
    """A text stream around another, None for one that is closed: whatever fails there is remembered and not raised.

    What cannot be encoded is written as escapes. What could not be written is left out; what comes later is tried again, since
    a full disk may have room by then.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.lost: str | None = None
        """Why something was left out, the first time."""

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
        """All else is the stream's own: buffer, errors, reconfigure …"""
        return getattr(self.stream, name)

    def _put(self, stream: Any, text: str) -> None:
        try:
            stream.write(text)
        except UnicodeEncodeError:
            stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))


def survivor(stream: Any) -> Survivor:
    """A stream as one that ends nothing; itself, if it is one already."""
    return stream if isinstance(stream, Survivor) else Survivor(stream)


@contextlib.contextmanager
def surviving() -> Iterator[None]:
    """Standard output and error end nothing while the block runs, nor afterwards for what it left in their buffers."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = survivor(before[0]), survivor(before[1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        end_output()


def end_output() -> None:
    """Write what is still buffered; where nobody reads it, it is dropped, so that Python's exit does not complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # the reader has gone, the disk is full, or the stream is closed
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def open_closed_streams() -> None:
    """Give a process that was started without standard streams (`>&-`) ones that lead nowhere.

    Else the first file that it opens takes their place, and what a library prints goes into that file.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: this very one
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
