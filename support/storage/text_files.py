"""Reader of text files: UTF-8, or UTF-16 and UTF-32 with a byte order mark, plain or compressed."""

import bz2
import codecs
import contextlib
import gzip
import io
import json
import lzma
import os
import shlex
import stat
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from gpt_from_scratch.support.command_line.invocation import gpt
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
NO_TEXT = {
    b"\x04\x22\x4d\x18": ("compressed by LZ4", "unpack it first: lz4 -d {name}"),
    b"PK\x03\x04": ("a ZIP archive", "unpack it first: unzip {name}"),
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", "unpack it first: 7z x {name}"),
    b"PAR1": ("a Parquet file", "prepare it first: {gpt} {name}"),
    b"ARROW1": ("an Arrow file", "write its texts to a file of text or JSON lines first"),
    b"\x93NUMPY": ("a NumPy array", "give the text that it was made from"),
    b"GPTTOKEN": ("a shard of prepared tokens", "name its folder: --data FOLDER"),
    b"GGUF": ("a GGUF model", "give text"),
    b"%PDF-": ("a PDF document", "take its text out first: pdftotext {name}"),
    b"{\\rtf": ("an RTF document", "save it as plain text first"),
    b"\xd0\xcf\x11\xe0": ("an old Office document", "save it as plain text first"),
    b"SQLite format 3\x00": ("an SQLite database", "write its texts to a file first"),
    b"\x89PNG": ("a PNG picture", "give text"),
    b"\xff\xd8\xff": ("a JPEG picture", "give text"),
    b"\x7fELF": ("a program", "give text"),
    b"\x89HDF": ("an HDF5 file", "write its texts to a file first"),
}
"""What a file of another kind begins with: what it is, and what to do."""
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
        require_text(path, head)
        return path.open("rb")
    openers: dict[str, Callable[[Path], io.BufferedIOBase]] = {
        "gzip": gzip.GzipFile,
        "bzip2": bz2.BZ2File,
        "xz": lzma.LZMAFile,
        "Zstandard": open_zstandard,
    }
    opened: io.BufferedIOBase = openers[packed](path)
    with named_damage(path, packed):
        require_text(path, opened.read(HEAD))
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
        position = 0
        while True:
            with named_damage(path):
                data = file.read(block)
            waiting = len(decoder.getstate()[0])
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                raise ValueError(not_decodable(path, error, position - waiting)) from None
            position += len(data)
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


def not_decodable(path: Path, error: UnicodeDecodeError, start: int = 0) -> str:
    """The message for bytes that are not in their encoding; `start` is the place of the error's bytes in the file."""
    encoding = error.encoding.upper().replace("_", "-")
    wrong = f"byte 0x{error.object[error.start]:02x} at offset {start + error.start:,} ({error.reason})"
    if not encoding.startswith("UTF-8"):
        return f"{path} begins as {encoding} and is not: {wrong}. The file is damaged: copy it again"
    name = shlex.quote(str(path))
    return (
        f"{path} is not UTF-8 text: {wrong}.\n"
        f"If it is in another encoding, convert it first: iconv -f WINDOWS-1252 -t UTF-8 -- {name} > converted.txt"
    )


def require_text(path: Path, head: bytes) -> None:
    """Raise ValueError where a file's first bytes are those of a known other kind."""
    name = shlex.quote(str(path))
    for magic, (kind, advice) in NO_TEXT.items():
        if head.startswith(magic):
            what_to_do = advice.format(name=name, gpt=gpt("prepare"))
            raise ValueError(f"{path} is {kind}, not text: {what_to_do}")
    if head[257:262] == b"ustar":
        raise ValueError(f"{path} is a tar archive, not text: unpack it first: tar -xf {name}")
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 1 << 27:
        raise ValueError(f"{path} holds tensors in the safetensors format, not text")
    if encoding_of(head) == "utf-8":
        _require_no_utf16(path, head)


def _require_no_utf16(path: Path, head: bytes) -> None:
    """Raise ValueError for UTF-16 without a mark: Latin letters with a NUL for every second byte, which UTF-8 allows."""
    for first, encoding in ((1, "UTF-16LE"), (0, "UTF-16BE")):
        nuls = head[first::2].count(0)
        if len(head) >= 4 and nuls > len(head) // 4 and head[1 - first :: 2].count(0) * 8 < nuls:
            raise ValueError(
                f"{path} looks like {encoding} text without a byte order mark, not UTF-8. Convert it first:\n"
                f"iconv -f {encoding} -t UTF-8 -- {shlex.quote(str(path))} > converted.txt"
            )


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
    if suffix != ".json" and not lines:
        first = head.partition(b"\n")[0]
        with contextlib.suppress(ValueError, RecursionError):
            lines = first.startswith(b"{") and isinstance(json.loads(first), dict)
    if suffix == ".json" and not lines:
        raise ValueError(
            f"{path} is JSON, not text. Make it JSON lines (one object a line) and prepare them:\n"
            f"jq -c '.[]' {shlex.quote(str(path))} > lines.jsonl && {gpt('prepare', 'lines.jsonl')}"
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
