"""Reader of text files: UTF-8, or UTF-16 and UTF-32 with a byte order mark, plain or compressed."""

import bz2
import codecs
import contextlib
import gzip
import io
import json
import lzma
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from gpt_from_scratch.support.command_line.invocation import gpt, quoted
from gpt_from_scratch.support.storage.file_kinds import not_decodable, require_text
from gpt_from_scratch.support.storage.zstandard_files import open_zstandard

BLOCK = 17 << 16
"""Bytes that are read at a time."""
HEAD = 4096
"""Bytes at a file's beginning that tell its kind."""

PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "Zstandard"}
SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
MARKS = (  # UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FIRST_NAME = re.compile(rb'\{\s*"(?:[^"\\]|\\.)*"\s*:\s*["\[{\dtfn-]')
"""Pattern of the start of a JSON object."""
PLAIN_NAMES = (".txt", ".md")
"""Names of files that are text whatever they look like, JSON included."""


def open_text_bytes(path: Path) -> io.BufferedIOBase:
    """A file opened for reading, unpacked where it is compressed by gzip, bzip2, xz or Zstandard.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: as `open`.
        ValueError: the file is of another kind than text; the message names the kind and what to do.
    """
    require_file(path)
    with named_damage(path), path.open("rb") as file:
        head = file.read(HEAD)
    packed = next((kind for magic, kind in PACKED.items() if head.startswith(magic)), None)
    if packed is None:
        require_text(path, head, marked=_is_marked(head))
        return path.open("rb")
    openers: dict[str, Callable[[Path], io.BufferedIOBase]] = {
        "gzip": gzip.GzipFile,
        "bzip2": bz2.BZ2File,
        "xz": lzma.LZMAFile,
        "Zstandard": open_zstandard,
    }
    opened: io.BufferedIOBase = openers[packed](path)
    with named_damage(path, packed):
        head = opened.read(HEAD)
        require_text(path, head, marked=_is_marked(head))
        opened.seek(0)
    return opened


def require_file(path: Path) -> None:
    """Raise ValueError for what is there and no file: a pipe may never give anything, and a device never end.

    Of a pipe (`<(zcat texts.gz)`) a second reading gives only what the first has left, and data are read more than once.
    """
    mode = path.stat().st_mode
    kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}
    if kind := next((kind for is_kind, kind in kinds.items() if is_kind(mode)), None):
        raise ValueError(f"{path} is {kind}, not a file: write its text to a file first, and name that")


def files_below(folder: Path) -> Iterator[Path]:
    """The files in a folder and the folders in it, hidden ones and links to folders left out, in no order.

    Raises:
        OSError: one of the folders cannot be read: what is in it would be missing without a word.
    """

    def fail(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent) / name for name in names if not name.startswith("."))


def is_plain(path: Path) -> bool:
    """Whether the file's bytes are its text in UTF-8, so that a part of them can be read alone."""
    require_file(path)
    with path.open("rb") as file:
        head = file.read(HEAD)
    return not head.startswith(tuple(PACKED)) and encoding_of(head) in ("utf-8", "utf-8-sig")


def encoding_of(head: bytes) -> str:
    """The encoding that a text's first bytes declare; without a mark UTF-8."""
    return next((encoding for mark, encoding in MARKS if head.startswith(mark)), "utf-8")


def _is_marked(head: bytes) -> bool:
    return head.startswith(tuple(mark for mark, _ in MARKS))


def text_blocks(path: Path, block: int = BLOCK, keep_mark: bool = False) -> Iterator[str]:
    """A file's text in blocks, its line ends as they are.

    Args:
        path: The file.
        block: How many bytes are read at a time.
        keep_mark: Keep UTF-8's byte order mark as a character, so that the text is all that the file holds.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no text, or not in the encoding that it declares; gives the place of the first wrong byte.
    """
    with open_text_bytes(path) as file:
        with named_damage(path):
            encoding = encoding_of(file.read(4))
        begins = encoding == "utf-8-sig" and not keep_mark
        file.seek(0)
        decoder = codecs.getincrementaldecoder(encoding.removesuffix("-sig"))()
        position, last = 0, b""
        while True:
            with named_damage(path):
                data = file.read(block)
            waiting = len(decoder.getstate()[0])
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                before = last[: len(last) - waiting]
                raise ValueError(not_decodable(path, error, position - waiting, before)) from None
            position, last = position + len(data), data
            if text:
                yield text.removeprefix("\ufeff") if begins else text
                begins = False
            if not data:
                return


def utf8_blocks(path: Path) -> Iterator[bytes]:
    """A file's text in blocks of UTF-8; raises as `text_blocks`."""
    return (text.encode() for text in text_blocks(path))


def read_text(path: Path) -> str:
    """A file's whole text; raises as `text_blocks`."""
    return "".join(text_blocks(path, block=1 << 30))


def require_no_json(path: Path) -> None:
    """Raise ValueError for a file of JSON, whose texts should be prepared before a model learns from them.

    A file that is named as text is taken as text, whatever it looks like.
    """
    with open_text_bytes(path) as file:
        head = file.read(HEAD)
    name = path.name.lower()
    for packed in SUFFIXES:
        name = name.removesuffix(packed)
    suffix = Path(name).suffix
    lines = suffix in (".jsonl", ".ndjson")
    if suffix in PLAIN_NAMES:
        return
    first, ended, rest = head.partition(b"\n")
    if not lines and ended:
        with contextlib.suppress(ValueError, RecursionError):
            lines = first.startswith(b"{") and isinstance(json.loads(first), dict)
            lines = lines and (suffix != ".json" or rest.lstrip().startswith(b"{"))
    elif not lines and suffix != ".json":  # one long line, of which this is the beginning
        lines = _FIRST_NAME.match(head) is not None
    if not lines and (
        suffix == ".json" or _FIRST_NAME.match(head.removeprefix(b"[").lstrip() if head[:1] == b"[" else b"")
    ):
        raise ValueError(
            f"{path} is JSON, not text. Make it JSON lines (one object a line) and prepare them:\n"
            f"jq -c '.[]' {quoted(Path(path))} > lines.jsonl && {gpt('prepare', 'lines.jsonl')}"
        )
    if lines:
        raise ValueError(
            f"{path} holds JSON lines, not text. Prepare them, then train on the folder that is made:\n{gpt('prepare', path)}"
        )


@contextlib.contextmanager
def named_damage(path: Path, kind: str = "compressed") -> Iterator[None]:
    """Errors of unpacking as a ValueError that names the file."""
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is damaged or cut off ({kind}): {error}. Copy it again") from error
    except OSError as error:
        if error.errno is not None:
            error.filename = error.filename or str(path)  # reading gives no name
            raise
        raise ValueError(f"{path} is damaged or cut off ({kind}): {error}. Copy it again") from error  # bz2 says so
