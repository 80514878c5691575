"""Files of other kinds than text: what tells each, and what its owner can do."""

import re
from pathlib import Path

from gpt_from_scratch.support.command_line.invocation import gpt, quoted

KINDS = {
    b"\x04\x22\x4d\x18": ("compressed by LZ4", "unpack it first: lz4 -d {name}"),
    b"\x1f\x8b": ("compressed by gzip once more", "unpack it first: gunzip {name}"),  # within what was unpacked
    b"\x1f\x9d": ("compressed by compress", "unpack it first: gunzip {name}"),
    b"\x5d\x00\x00": ("compressed by LZMA", "unpack it first: unlzma {name}"),
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", "unpack it first: 7z x {name}"),
    b"Rar!\x1a\x07": ("a RAR archive", "unpack it first: unrar x {name}"),
    b"PAR1": ("a Parquet file", "prepare it first: {gpt} {name}"),
    b"ARROW1": ("an Arrow file", "write its texts to a file of text or JSON lines first"),
    b"\xff\xff\xff\xff": ("an Arrow stream", "write its texts to a file of text or JSON lines first"),
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
IN_ZIP = {
    r"(\[Content_Types\]\.xml|_rels/|docProps/|word/|xl/|ppt/)": ("an Office document", "save it as plain text first"),
    r"mimetype": ("an OpenDocument or e-book file", "save it as plain text first"),
    r"(?:[^/]+/)?(data\.pkl|\.format_version|\.data/|byteorder|version)": ("a PyTorch file", "give text"),
    r".*\.npy": ("NumPy arrays", "give the text that they were made from"),
}
"""What the first file in a ZIP archive is called, where the archive is a file of some program."""

_CONTROLS = frozenset(range(32)) - set(b"\t\n\v\f\r\x1a\x1b")


def require_text(path: Path, head: bytes, marked: bool) -> None:
    """Raise ValueError where a file's first bytes are those of a known other kind; `marked`: it begins with a text's mark."""
    if found := None if marked else _kind_of(head):
        kind, advice = found
        what_to_do = advice.format(name=quoted(Path(path)), gpt=gpt("prepare"))
        raise ValueError(f"{path} is {kind}, not text: {what_to_do}")
    if not marked and (encoding := _wide(head)):
        raise ValueError(
            f"{path} looks like {encoding} text without a byte order mark, not UTF-8. Convert it first:\n"
            f"{_convert(path, encoding)}"
        )


def not_decodable(path: Path, error: UnicodeDecodeError, start: int = 0, before: bytes = b"") -> str:
    """The message for bytes that are not in their encoding.

    The advice follows the bytes around: UTF-8 before them, another encoding's letters, or no text at all.

    start: the place of the error's bytes in the file
    before: what stands before them there, as far as it is known
    """
    encoding, data, at = error.encoding.upper().replace("_", "-"), before + error.object, len(before) + error.start
    wrong = f"byte 0x{data[at]:02x} at offset {start + error.start:,} ({error.reason})"
    if not encoding.startswith("UTF-8"):
        return f"{path} begins as {encoding} and is not: {wrong}. The file is damaged: copy it again"
    if not data[:at].isascii():  # what is right before it is UTF-8 beyond ASCII
        return (
            f"{path} is UTF-8 up to {wrong}: it is damaged or cut off. Copy it again, or leave such bytes out:\n"
            f"iconv -c -f UTF-8 -t UTF-8 -- {quoted(Path(path))} > converted.txt"
        )
    around = data[max(0, at - 40) : at + 2000]
    if 0 in around or 50 * sum(byte in _CONTROLS for byte in around) > len(around):
        return (
            f"{path} is not text but binary data, or text in UTF-16 without a byte order mark: {wrong}. Give UTF-8 text"
        )
    if sum(byte >= 128 for byte in around) > sum(chr(byte).isalpha() for byte in around if byte < 128):  # not Latin
        return (
            f"{path} is not UTF-8 text: {wrong}. Convert it first, with its own encoding for ENCODING\n"
            f"(such as WINDOWS-1251, SHIFT-JIS or GB18030): {_convert(path, 'ENCODING')}"
        )
    return (
        f"{path} is not UTF-8 text: {wrong}.\n"
        f"If it is in another encoding, convert it first: {_convert(path, 'WINDOWS-1252')}"
    )


def _convert(path: Path, encoding: str) -> str:
    return f"iconv -f {encoding} -t UTF-8 -- {quoted(Path(path))} > converted.txt"


def _kind_of(head: bytes) -> tuple[str, str] | None:
    """What a file with these first bytes is, and what to do; None where they may be a text's."""
    if head.startswith(b"PK\x03\x04"):
        first = head[30 : 30 + int.from_bytes(head[26:28], "little")].decode("utf-8", "replace")
        inside = (found for pattern, found in IN_ZIP.items() if re.match(pattern, first))
        return next(inside, ("a ZIP archive", "unpack it first: unzip {name}"))
    if head[257:262] == b"ustar":
        return "a tar archive", "unpack it first: tar -xf {name}"
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 1 << 27:
        return "a file of tensors (safetensors)", "give text"
    if re.match(rb"\x80[\x02-\x05]", head):
        return "a pickle of Python's", "give text"
    return next((found for magic, found in KINDS.items() if head.startswith(magic)), None)


def _wide(head: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, by the NUL bytes of its Latin letters, which UTF-8 would allow; else None."""
    by_place = [head[place::4] for place in range(4)]
    empty = [len(head) >= 8 and not any(part) for part in by_place]
    if empty[2] and empty[3] and any(by_place[0]):
        return "UTF-32LE"
    if empty[0] and empty[1] and any(by_place[3]):
        return "UTF-32BE"
    for first, encoding in ((1, "UTF-16LE"), (0, "UTF-16BE")):
        nuls = head[first::2].count(0)
        if len(head) >= 4 and nuls > len(head) // 4 and head[1 - first :: 2].count(0) * 8 < nuls:
            return encoding
    return None
