"""A disk that fails at chosen calls, for the code that runs while a block does."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedWriter, FileIO
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.models import weight_files

CALLS = ("write", "fsync", "rename")
FOR_GOOD = 1_000_000


class Failures:
    """The first `times` calls of one kind on a file whose path has `part` in it fail; `met` counts them."""

    def __init__(self, call: str, part: str, times: int, number: int = errno.EIO) -> None:
        self.call, self.part, self.times, self.number = call, part, times, number
        self.met = 0

    def maybe(self, call: str, path: str | Path) -> None:
        """Raise the error, if it is this call's turn."""
        if call == self.call and self.part in str(path) and self.met < self.times:
            self.met += 1
            raise OSError(self.number, os.strerror(self.number), str(path))


@contextmanager
def failing_disk(failures: Failures) -> Iterator[None]:
    """Put `failures` before every way in which the project writes, syncs and renames."""
    write_bytes, save_file, fsync, replace, open_path = (
        Path.write_bytes,
        weight_files.save_file,
        os.fsync,
        os.replace,
        Path.open,
    )

    class Failing(FileIO):
        def write(self, data: Any, /) -> int:
            failures.maybe("write", str(self.name))
            return super().write(data)

    def opened(path: Path, mode: str = "r", buffering: int = -1, **more: Any) -> Any:
        if mode == "ab":
            return Failing(path, "a")
        if mode == "wb":
            return BufferedWriter(Failing(path, "w"))
        return open_path(path, mode, buffering, **more)

    def before(call: str, function: Callable[..., Any], name: Callable[..., Any]) -> Callable[..., Any]:
        def checked(*given: Any, **more: Any) -> Any:
            failures.maybe(call, name(*given))
            return function(*given, **more)

        return checked

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", before("write", write_bytes, lambda path, data: path))
        patch.setattr(weight_files, "save_file", before("write", save_file, lambda tensors, path, **more: path))
        patch.setattr(os, "fsync", before("fsync", fsync, lambda file: Path(f"/proc/self/fd/{file}").readlink()))
        patch.setattr(os, "replace", before("rename", replace, lambda source, target: target))
        patch.setattr(Path, "open", opened)
        patch.setattr("gpt_from_scratch.support.storage.files.PAUSES", (0.0, 0.0, 0.0))
        yield
