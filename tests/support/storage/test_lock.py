"""The one lock: it goes with its process, names its holder, and never touches a file that is not its own."""

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gpt_from_scratch.support.storage.files import FoundFolder, new_folder
from gpt_from_scratch.support.storage.lock import HeldError, locked

HOLD = """
import sys
from pathlib import Path
from gpt_from_scratch.support.storage.lock import locked
with locked(Path(sys.argv[1]), "it is taken", "go", family=sys.argv[2:]):
    print("held", flush=True)
    sys.stdin.read()
"""
WHAT = ("another process trains in x", "give another name")


@contextmanager
def holder(path: Path, *family: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the lock until its standard input is closed."""
    command = [sys.executable, "-c", HOLD, str(path), *family]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_another_process_that_holds_it_is_named_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with holder(path) as process:
        with pytest.raises(HeldError) as told, locked(path, *WHAT):
            pass
        words = str(told.value)
        assert words.startswith("another process trains in x: ") and "\n" not in words
        assert f"process {process.pid} on {socket.gethostname()} since 20" in words
        assert "Wait for it or end it (kill" in words and words.endswith("give another name")
        process.communicate("")
    assert not path.exists()
    with locked(path, *WHAT):
        assert json.loads(path.read_text(encoding="utf-8"))["lock"]["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with holder(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert path.exists()
        with locked(path, *WHAT):
            pass


def test_the_attempt_that_this_one_replaces_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with holder(path, "torchrun-1", "torchrun-2") as process:
        timer = threading.Timer(0.2, process.kill)
        timer.start()
        with locked(path, *WHAT, family=["torchrun-2"], patience=60):
            timer.join()
    with holder(path, "torchrun-1"), pytest.raises(HeldError), locked(path, *WHAT, family=["torchrun-2"], patience=60):
        pass


@pytest.mark.parametrize("call", ["stat", "unlink"])
def test_a_lock_that_cannot_be_removed_undoes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fails(*given: object, **more: object) -> None:
        raise OSError(errno.EIO, "no")

    done = False
    with monkeypatch.context() as patch, locked(tmp_path / ".lock", *WHAT):
        patch.setattr(os, call, fails)
        done = True
    assert done and (tmp_path / ".lock").exists()
    with locked(tmp_path / ".lock", *WHAT):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_for_a_moment_takes_a_lock_and_one_that_stays_so_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, failures = os.open, 1

    def fails(path: str, *given: int, **more: int) -> int:
        nonlocal failures
        if path == ".lock" and failures:
            failures -= 1
            raise OSError(errno.EIO, "no", path)
        return opened(path, *given, **more)

    monkeypatch.setattr("gpt_from_scratch.support.storage.files.PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(os, "open", fails)
    with locked(tmp_path / ".lock", *WHAT):
        assert failures == 0
    failures = 10
    with pytest.raises(OSError, match="no") as told, locked(tmp_path / ".lock", *WHAT):
        pass
    assert told.value.filename == str(tmp_path / ".lock")


def test_two_threads_are_two_holders(tmp_path: Path) -> None:
    told = pytest.raises(HeldError, match=f"process {os.getpid()} on")
    with locked(tmp_path / ".lock", *WHAT), told, locked(tmp_path / ".lock", *WHAT):
        pass


@pytest.mark.parametrize(
    "kind", ["a link", "a dangling link", "another name of the same file", "a file", "a folder", "a pipe"]
)
def test_what_is_no_lock_is_refused_and_stays_as_it_was(tmp_path: Path, kind: str) -> None:
    path, target = tmp_path / ".lock", tmp_path / "target"
    if kind != "a dangling link":
        target.write_text("precious", encoding="utf-8")
    {
        "a link": lambda: path.symlink_to(target),
        "a dangling link": lambda: path.symlink_to(target),
        "another name of the same file": lambda: path.hardlink_to(target),
        "a file": lambda: path.write_text('{"mine": 1}', encoding="utf-8"),
        "a folder": path.mkdir,
        "a pipe": lambda: os.mkfifo(path),
    }[kind]()
    with pytest.raises(ValueError, match=r"\.lock is .*: remove it"), locked(path, *WHAT):
        pass
    assert target.exists() == (kind != "a dangling link")
    assert not target.exists() or target.read_text(encoding="utf-8") == "precious"


TORN = b'{"lock": {"pid": 1, "host": "gone", "since": "x", "born": "1", "family": []}}\n{"lo'


@pytest.mark.parametrize("content", [b"", b"\0\0\0", TORN])
def test_what_a_killed_process_left_is_taken_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".lock").write_bytes(content)
    with locked(tmp_path / ".lock", *WHAT):
        assert json.loads((tmp_path / ".lock").read_bytes())["lock"]["pid"] == os.getpid()


def test_a_folder_moved_while_it_is_locked_loses_its_lock_file_there(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with locked(tmp_path / "run" / ".lock", *WHAT):
        (tmp_path / "run").rename(tmp_path / "moved")
        (tmp_path / "run").mkdir()
        with locked(tmp_path / "run" / ".lock", *WHAT):  # another run took the old name
            pass
        with pytest.raises(HeldError), locked(tmp_path / "moved" / ".lock", *WHAT):
            pass
    assert list((tmp_path / "moved").iterdir()) == []


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system such as Lustre without -o flock."""

    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_without_locks_of_the_file_system_a_file_stands_for_one(tmp_path: Path, without_locks: None) -> None:
    path = tmp_path / ".lock"
    told = pytest.raises(HeldError, match=rf"process {os.getpid()} .*remove .*\.lock\.held")
    with locked(path, *WHAT), told, locked(path, *WHAT):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host, free", [(socket.gethostname(), True), ("elsewhere", False)])
def test_without_locks_a_holder_that_is_gone_is_replaced_where_that_can_be_known(
    tmp_path: Path, without_locks: None, host: str, free: bool
) -> None:
    note = {"pid": os.getpid(), "host": host, "since": "then", "born": "of an earlier process", "family": []}
    (tmp_path / ".lock.held").write_text(json.dumps({"lock": note}), encoding="utf-8")
    if free:
        with locked(tmp_path / ".lock", *WHAT):
            pass
        assert list(tmp_path.iterdir()) == []
    else:
        with pytest.raises(HeldError, match="on elsewhere since then"), locked(tmp_path / ".lock", *WHAT):
            pass


def test_one_of_many_that_come_at_once_gets_it(tmp_path: Path) -> None:
    inside, most, refused = [0], [0], [0]
    begin = threading.Barrier(8)

    def contend() -> None:
        begin.wait()
        for _ in range(50):
            try:
                with locked(tmp_path / ".lock", *WHAT):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    inside[0] -= 1
            except HeldError:
                refused[0] += 1

    threads = [threading.Thread(target=contend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1 and list(tmp_path.iterdir()) == []


def test_each_call_makes_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "x-3").write_text("in the way", encoding="utf-8")
    names = [new_folder(tmp_path / "runs", "x").name for _ in range(3)]
    assert names == ["x", "x-2", "x-4"]


def test_a_folder_in_use_is_found_where_it_was_moved(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    folder = FoundFolder(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "moved")
    (tmp_path / "run").mkdir()
    assert folder.path == tmp_path / "moved"
    (tmp_path / "moved").rename(tmp_path / "again")
    assert folder.path == tmp_path / "again"
    (tmp_path / "again").rmdir()
    with pytest.raises(FileNotFoundError, match="again was removed, or moved to another disk"):
        folder.path  # noqa: B018
