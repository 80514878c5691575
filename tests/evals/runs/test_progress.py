"""Progress is shown on a terminal and in a log, and a stream that fails ends no run."""

import io

from gpt_from_scratch.evals.runs.progress import ProgressLine, Status


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_each_tenth() -> None:
    stream = io.StringIO()
    progress, status = ProgressLine("m", stream), Status(50, retries={"429": 2, "500": 1})
    for i in range(50):
        status.add(1.0 if i % 2 else None, failed=not i % 2)
        progress.update(status)
    progress.update(status, last=True)
    lines = stream.getvalue().splitlines()
    assert 9 <= len(lines) <= 12 and len(set(lines)) == len(lines)
    assert lines[-1] == "m: 50/50 · score 1.000 · 25 failed · tried again: 2 × 429, 1 × 500"


def test_no_line_of_a_log_comes_twice() -> None:
    stream = io.StringIO()
    progress, status = ProgressLine("m", stream), Status(1)
    status.add(1.0, failed=False)
    progress.update(status)
    progress.update(status, last=True)
    assert stream.getvalue() == "m: 1/1 · score 1.000\n"


def test_a_terminal_is_written_in_place() -> None:
    stream = Terminal()
    progress, status = ProgressLine("evil\x1b[2J", stream), Status(2, cost=0.25)
    progress.update(status)
    status.add(0.5, failed=False)
    progress.update(status)
    progress.update(status, last=True)
    progress.say("said \x07")
    text = stream.getvalue()
    assert text.count("\r\x1b[K") == 2 and "\x1b[2J" not in text and "evil␛[2J: 1/2 · score 0.500 · $0.2500" in text
    assert text.endswith("\nsaid ␇\n")


def test_a_stream_that_fails_ends_no_run() -> None:
    class Gone(io.StringIO):
        def write(self, text: str, /) -> int:
            raise BrokenPipeError(32, "Broken pipe")

        def isatty(self) -> bool:
            raise ValueError("I/O operation on closed file")

    for stream in (Gone(), io.TextIOWrapper(io.BytesIO(), encoding="ascii")):
        progress, status = ProgressLine("größer", stream), Status(2)
        status.add(0.5, failed=False)
        progress.update(status)
        progress.say("🙂")
        progress.update(status, last=True)
