"""Files compressed by Zstandard, read as a stream. Needs the package zstandard."""

import io
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.command_line.invocation import how_to_install, quoted

BLOCK = 1 << 17
"""Compressed bytes that are read at a time."""


def open_zstandard(path: Path) -> io.BufferedReader:
    """The unpacked file, all its frames one after the other.

    Reading raises EOFError where the last frame is cut off, and OSError without a number where a frame is damaged.

    Raises:
        ValueError: the package that unpacks it is missing; says how it is installed.
    """
    try:
        import zstandard
    except ImportError as error:
        raise ValueError(
            f"{path} is compressed by Zstandard: {how_to_install('data')}, or unpack it first: zstd -d {quoted(Path(path))}"
        ) from error
    return io.BufferedReader(_Unpacked(path, zstandard), BLOCK)


class _Unpacked(io.RawIOBase):
    """The unpacked bytes. zstandard's own stream ends without a word where a file is cut off; this one does not."""

    def __init__(self, path: Path, zstandard: Any) -> None:
        self._file, self._zstandard = path.open("rb"), zstandard
        self._begin()

    def _begin(self) -> None:
        self._file.seek(0)
        self._frame: Any = None
        self._packed = self._ready = b""
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place by reading up to it, from the beginning where it lies before."""
        target = offset + (self._place if whence == io.SEEK_CUR else 0)
        if whence == io.SEEK_END or target < 0:
            raise io.UnsupportedOperation("the end of what is unpacked is not known")
        if target < self._place:
            self._begin()
        while self._place < target and self.readinto(bytearray(min(target - self._place, 1 << 20))):
            pass
        return self._place

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            self._packed = self._packed or self._file.read(BLOCK)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("the file ended before the end of its last frame")
                return 0
            if self._frame is None:
                self._frame = self._zstandard.ZstdDecompressor().decompressobj()
            try:
                self._ready = self._frame.decompress(self._packed)
            except self._zstandard.ZstdError as error:
                raise OSError(str(error)) from error
            self._packed = b""
            if self._frame.eof:
                self._packed, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        self._place += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
