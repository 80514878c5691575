"""Atomic files: after anything at all, the old file or the new one, whole, and nothing beside it."""

import hashlib
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gpt_from_scratch.support.files import atomic_open, sha256, write_bytes, write_text


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
        from gpt_from_scratch.support.files import atomic_open
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
