"""Atomic files: after anything at all, the old file or the new one, whole, and nothing beside it."""

import errno
import hashlib
import os
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import SafetensorError

from gpt_from_scratch.support.storage import files
from gpt_from_scratch.support.storage.files import (
    atomic_open,
    remove,
    rename,
    require_place,
    retried,
    sha256,
    write_bytes,
    write_text,
)


def test_writes_what_was_given(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "größer ≥ 1\n")
    write_bytes(tmp_path / "bytes", b"\x00\r\n\xff")
    assert (tmp_path / "text").read_bytes() == "größer ≥ 1\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\x00\r\n\xff"
    assert sorted(os.listdir(tmp_path)) == ["bytes", "text"]  # noqa: PTH208


def test_the_old_file_stands_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_open(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_open(path) as file:
        file.write(b"half of the n")
        raise KeyboardInterrupt
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_that_dies_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    code = """
        import os, sys
        from pathlib import Path
        from gpt_from_scratch.support.storage.files import atomic_open
        with atomic_open(Path(sys.argv[1])) as file:
            file.write(b"half of the n")
            file.flush()
            os._exit(9)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code), path], check=False).returncode == 9
    assert path.read_bytes() == b"old"
    write_bytes(path, b"new")  # what the dead process left behind is in nobody's way
    assert path.read_bytes() == b"new"


def test_an_ordinary_files_permissions(tmp_path: Path) -> None:
    """Readable by whom the umask says, as with a plain open(): not the 0600 of the tempfile module."""
    (tmp_path / "plain").touch()
    write_text(tmp_path / "atomic", "")
    assert stat.S_IMODE((tmp_path / "atomic").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_a_missing_folder_is_the_callers_affair(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "nowhere" / "file", "")


@pytest.mark.parametrize("mode", ["a", "r", "xb", "w+"])
def test_other_modes_are_refused(tmp_path: Path, mode: str) -> None:
    with pytest.raises(ValueError, match="whole files"), atomic_open(tmp_path / "file", mode):
        pass
    assert list(tmp_path.iterdir()) == []


def test_sha256_of_a_file_larger_than_one_read(tmp_path: Path) -> None:
    data = bytes(range(256)) * 8192
    (tmp_path / "file").write_bytes(data)
    assert sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()


@pytest.fixture
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PAUSES", (0.0, 0.0, 0.0))


def failing(times: int, error: Exception) -> Callable[[], int]:
    """Fails so often, then returns how often it was called."""
    calls = 0

    def work() -> int:
        nonlocal calls
        calls += 1
        if calls <= times:
            raise error
        return calls

    return work


RUST = SafetensorError("Error while serializing: I/O error: Input/output error (os error 5)")


@pytest.mark.usefixtures("_no_pauses")
@pytest.mark.parametrize("error", [OSError(number, os.strerror(number)) for number in sorted(files.PASSING)] + [RUST])
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    assert retried(failing(3, error)) == 4
    with pytest.raises(type(error)):
        retried(failing(4, error))


@pytest.mark.usefixtures("_no_pauses")
@pytest.mark.parametrize("error", [FileNotFoundError(2, "no"), PermissionError(13, "no"), ValueError("(no os error)")])
def test_what_stays_is_not(error: Exception) -> None:
    with pytest.raises(type(error)):
        retried(failing(1, error))


@pytest.mark.usefixtures("_no_pauses")
def test_an_outer_call_does_not_wait_for_what_an_inner_one_gave_up() -> None:
    work = failing(4, OSError(errno.EIO, "no"))
    with pytest.raises(OSError, match="no"):
        retried(lambda: retried(work))
    assert work() == 5


@pytest.mark.usefixtures("_no_pauses")
def test_after_a_failed_fsync_the_file_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: set[Path] = set()
    fsync = os.fsync

    def fails_once(file: int) -> None:
        made.update(tmp_path.glob(".*.tmp"))
        if len(made) == 1:
            raise OSError(errno.EIO, "no")
        fsync(file)

    monkeypatch.setattr(os, "fsync", fails_once)
    write_bytes(tmp_path / "file", b"new")
    assert len(made) == 2, "the second try has a file of its own"
    assert (tmp_path / "file").read_bytes() == b"new" and len(list(tmp_path.iterdir())) == 1


def test_a_file_that_cannot_be_brought_to_the_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(file: int) -> None:
        raise OSError(errno.EROFS, "no")

    with pytest.raises(OSError, match="full") as told, atomic_open(tmp_path / "file"):
        raise OSError(errno.EFBIG, "full")  # as write() does
    assert told.value.filename == str(tmp_path / "file")
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="no") as told:
        write_bytes(tmp_path / "file", b"new")
    assert told.value.filename == str(tmp_path / "file") and list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_no_pauses")
def test_a_rename_whose_answer_was_lost_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").write_bytes(b"new")
    replace = os.replace

    def loses_the_answer(source: Path, target: Path) -> None:
        replace(source, target)
        raise OSError(errno.ETIMEDOUT, "no")

    monkeypatch.setattr(os, "replace", loses_the_answer)
    rename(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"new"
    with pytest.raises(FileNotFoundError):
        rename(tmp_path / "source", tmp_path / "elsewhere")


def test_remove_takes_files_folders_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "file").touch()
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    for name in ("folder", "file", "link", "absent"):
        remove(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize("link", [False, True])
def test_a_pipe_or_a_device_is_never_replaced(link: bool, tmp_path: Path) -> None:
    there = target = tmp_path / "pipe"
    os.mkfifo(there)
    if link:
        target = tmp_path / "link"
        target.symlink_to(there)
    for refuse in (require_place, lambda path: write_bytes(path, b"x")):
        with pytest.raises(OSError, match="a pipe or a device is there") as caught:
            refuse(target)
        assert str(caught.value.filename) == str(target)
    assert there.is_fifo() and target.is_symlink() == link and not list(tmp_path.glob(".*"))


def test_what_cannot_be_written_is_named_as_it_was_given(tmp_path: Path) -> None:
    for name, error in (("", IsADirectoryError), ("no/such/file", FileNotFoundError)):
        for refuse in (require_place, lambda path: write_bytes(path, b"x")):
            with pytest.raises(error) as caught:
                refuse(tmp_path / name)
            assert str(caught.value.filename) == str(tmp_path / name) and caught.value.filename2 is None
    require_place(tmp_path / "new")
    (tmp_path / "old").touch()
    require_place(tmp_path / "old")
