"""Streams that lose their reader, their terminal, their disk or their place: what is printed around them goes on."""

import errno
import io
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gpt_from_scratch.support.command_line.streams import Survivor, surviving, survivor

EMOJI = "a sample 🙂 größer ≥ 1\n"


class Broken(io.StringIO):
    """Fails at each write, or only when flushed, as a stream with a buffer does."""

    def __init__(self, error: Exception, *, at_flush: bool = False) -> None:
        super().__init__()
        self.error: Exception | None = error
        self.at_flush = at_flush

    def write(self, text: str, /) -> int:
        if self.error is not None and not self.at_flush:
            raise self.error
        return super().write(text)

    def flush(self) -> None:
        if self.error is not None:
            raise self.error

    def isatty(self) -> bool:
        if self.error is not None:
            raise self.error
        return True


ERRORS = [OSError(n, os.strerror(n)) for n in (errno.EPIPE, errno.EIO, errno.ENOSPC, errno.EBADF, errno.EAGAIN)]


@pytest.mark.parametrize("at_flush", [False, True])
@pytest.mark.parametrize("error", [*ERRORS, ValueError("I/O operation on closed file")])
def test_whatever_fails_is_remembered_and_not_raised(error: Exception, at_flush: bool) -> None:
    stream = Survivor(Broken(error, at_flush=at_flush))
    print("words", file=stream, flush=True)
    assert not stream.isatty()
    assert stream.lost == str(error)


def test_what_comes_after_a_failure_is_shown() -> None:
    broken = Broken(OSError(errno.ENOSPC, "full"))
    stream = Survivor(broken)
    print("lost", file=stream, flush=True)
    broken.error = None
    print("shown", file=stream, flush=True)
    assert broken.getvalue() == "shown\n" and stream.isatty()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_what_cannot_be_encoded_is_escaped(encoding: str) -> None:
    file = io.BytesIO()
    stream = Survivor(io.TextIOWrapper(file, encoding=encoding))
    print(EMOJI + "\ud800", end="", file=stream, flush=True)
    written = file.getvalue().decode(encoding)
    assert written.startswith("a sample ") and written.endswith("\\ud800") and stream.lost is None
    assert ("🙂" if encoding == "utf-8" else "\\U0001f642") in written


def test_a_stream_that_was_closed_from_the_start_shows_nothing() -> None:
    stream = Survivor(None)
    print("words", file=stream, flush=True)
    assert stream.lost is None and not stream.isatty() and survivor(stream) is stream
    with pytest.raises(io.UnsupportedOperation):
        stream.fileno()


def test_the_streams_are_the_old_ones_afterwards() -> None:
    before = sys.stdout, sys.stderr
    with surviving():
        assert isinstance(sys.stdout, Survivor) and isinstance(sys.stderr, Survivor)
    assert (sys.stdout, sys.stderr) == before


SCRIPT = """
    import sys
    from gpt_from_scratch.support.command_line.streams import open_closed_streams, surviving
    open_closed_streams()
    with open("file", "w", encoding="utf-8") as file:
        assert file.fileno() > 2, "a file in the place of a standard stream would get what libraries print"
        with surviving():
            for number in range(20_000):
                print("a line of words", number)
                print("a warning", number, file=sys.stderr)
        file.write("done")
"""


@pytest.mark.parametrize(
    "redirected", ["| head -1", "2>&1 | head -1", ">/dev/full 2>&1", ">&-", ">&- 2>&-", "<&- >&- 2>&-"]
)
def test_a_process_ends_well_whatever_its_output_comes_to(tmp_path: Path, redirected: str) -> None:
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    command = f"{sys.executable} script.py {redirected}; echo ${{PIPESTATUS[0]}} >status"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (tmp_path / "status").read_text(encoding="utf-8") == "0\n"
    assert (tmp_path / "file").read_text(encoding="utf-8") == "done"
    assert "Exception" not in done.stderr and "Traceback" not in done.stderr
