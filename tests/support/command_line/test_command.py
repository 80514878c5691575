"""Commands end with words and an exit status, whatever the end was."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gpt_from_scratch.support.command_line.command import in_words, shortened, status_of


def raises(error: BaseException) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ValueError("n is 0: give 1 or more"), 2, "error: n is 0: give 1 or more\n"),
        (PermissionError(13, "Permission denied", "a/b"), 2, "error: a/b: permission denied\n"),
        (FileNotFoundError(2, "No folder My Texts", "a/b"), 2, "error: a/b: no folder My Texts\n"),
        (OSError(36, "File name too long", "x" * 300), 2, f"error: {'x' * 300}: file name too long\n"),
        (RuntimeError("no GPU here"), 2, "error: no GPU here\n"),
        (MemoryError("Unable to allocate 7 TiB"), 2, "error: Unable to allocate 7 TiB\n"),
        (ImportError("needs pydantic"), 2, "error: needs pydantic\n"),
        (ValueError(), 2, "error: ValueError\n"),
        (ValueError("a\x1b[2Jb"), 2, "error: a␛[2Jb\n"),
        (ValueError("one\ntwo\nthree\nfour\nfive"), 2, "error: one\ntwo\n... and 3 more like it\n"),
        (KeyboardInterrupt(), 130, "name: stopped by Ctrl-C\n"),
        (KeyboardInterrupt("the same command goes on"), 130, "name: stopped by Ctrl-C; the same command goes on\n"),
        (SystemExit(7), 7, ""),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_each_end_has_its_status_and_words(
    error: BaseException, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        assert status_of("name", lambda: raises(error)) == status
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == words


@pytest.mark.parametrize(
    "defect",
    [
        TypeError("ours"),
        KeyError("ours"),
        RecursionError("ours"),
        AssertionError("ours"),
        ImportError("cannot import name 'x'", name="gpt_from_scratch.support.storage.files"),
    ],
)
def test_a_defect_of_ours_keeps_its_traceback(defect: Exception) -> None:
    with pytest.raises(type(defect)):
        status_of("name", lambda: raises(defect))


def test_three_lines_stay_whole() -> None:
    assert shortened("a\nb\n\nc\n") == "a\nb\nc"


def test_both_names_of_a_rename_are_told() -> None:
    assert in_words(OSError(18, "Invalid cross-device link", "a", None, "b")) == "a -> b: invalid cross-device link"


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """A command in a module of its own, whose first argument says what it does."""
    (tmp_path / "made_for_a_test.py").write_text(
        textwrap.dedent("""
            import signal, sys, time, warnings

            if "slow" in sys.argv:
                input()
            if "import" in sys.argv:
                print("importing", flush=True)
                time.sleep(60)

            def main(words):
                if words[0] == "write":
                    for line in range(100_000):
                        print("a line that nobody reads")
                if words[0] == "warn":
                    warnings.warn("the text is\\nshort", stacklevel=1)
                    warnings.warn("it will go", FutureWarning, stacklevel=1)
                if words[0] == "emoji":
                    print("a robin 🐦 sings")
        """)
    )
    code = "from gpt_from_scratch.support.command_line.command import run_command; run_command('test', 'made_for_a_test:main')"
    return [sys.executable, "-c", code]


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(tmp_path), **more}


def test_ctrl_c_during_an_import_is_one_line(command: list[str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [*command, "import"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(tmp_path)
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "test: stopped by Ctrl-C\n"
    assert process.returncode == 130


def test_a_long_import_is_said_at_a_terminal_and_nothing_of_it_stays(command: list[str], tmp_path: Path) -> None:
    ours, terminal = os.openpty()
    with subprocess.Popen(
        [*command, "slow"], stdin=subprocess.PIPE, stderr=terminal, text=True, env=environment(tmp_path)
    ) as process:
        os.close(terminal)
        assert os.read(ours, 100) == b"loading ..."
        process.communicate("\n")
        assert os.read(ours, 100) == b"\r\x1b[K"
    os.close(ours)
    assert process.returncode == 0


def test_a_reader_that_has_had_enough_ends_it_quietly(command: list[str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [*command, "write"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(tmp_path)
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_characters_that_the_terminal_lacks_are_escaped(command: list[str], tmp_path: Path) -> None:
    run = subprocess.run(
        [*command, "emoji"], capture_output=True, env=environment(tmp_path, PYTHONIOENCODING="latin-1"), check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, b"a robin \\U0001f426 sings\n", b"")


def test_a_current_folder_that_is_gone_is_said(command: list[str], tmp_path: Path) -> None:
    gone = 'd=$(mktemp -d) && cd $d && rmdir $d && exec "$@"'
    run = subprocess.run(
        ["sh", "-c", gone, "sh", *command, "emoji"],
        capture_output=True,
        text=True,
        env=environment(tmp_path),
        check=False,
    )
    assert (run.returncode, run.stdout) == (2, "") and run.stderr.startswith(
        "error: the current folder is no longer there"
    )


def test_a_warning_is_words_without_a_line_of_code(command: list[str], tmp_path: Path) -> None:
    run = subprocess.run([*command, "warn"], capture_output=True, text=True, env=environment(tmp_path), check=False)
    assert (run.returncode, run.stdout) == (0, "")
    assert run.stderr == "warning: the text is\nshort\nwarning: it will go\n"


def test_ctrl_c_during_an_import_that_would_hide_it_ends_the_process(tmp_path: Path) -> None:
    """numpy, torn in the middle of its import, fails in other words when something imports it again."""
    (tmp_path / "heavy.py").write_text(
        "import time\nprint('ready', flush=True)\ntry:\n    time.sleep(100)\nexcept BaseException:\n    pass\n"
        "def main(words):\n    print('went on')\n",
        encoding="utf-8",
    )
    code = "from gpt_from_scratch.support.command_line.command import run_command; run_command('heavy', 'heavy:main')"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=dict(os.environ, PYTHONPATH=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("", "heavy: stopped by Ctrl-C\n") and process.returncode == 130
