"""Text files in every form that is opened, and every other kind named."""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import shlex
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.evals.scoring.bits_per_byte import read_documents
from gpt_from_scratch.support.storage.text_files import files_below, is_plain, read_text, require_no_json, text_blocks
from gpt_from_scratch.training.data.reading.texts import text_files

IN_ZIP = {
    "notes/a.txt": "a ZIP archive",
    "[Content_Types].xml": "an Office document",
    "mimetype": "an OpenDocument or e-book file",
    "model/data.pkl": "a PyTorch file",
    "a.npy": "NumPy arrays",
}


def zip_of(name: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), "hello")
    return made.getvalue()


PACKERS = {"plain": bytes, "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zst": zstandard.compress}
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32")
TEXT = st.text(
    st.characters(exclude_categories=["Cs"]).filter(lambda c: c not in "\ufeff\x00"), min_size=0, max_size=60
)


@given(text=TEXT, packer=st.sampled_from(list(PACKERS)), encoding=st.sampled_from(ENCODINGS), block=st.integers(1, 9))
def test_every_form_gives_the_same_text(
    text: str, packer: str, encoding: str, block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = "Robin. " + text  # no text begins like a file of another kind by chance
    path = tmp_path_factory.mktemp("texts") / "t.txt"
    path.write_bytes(PACKERS[packer](text.encode(encoding)))
    assert read_text(path) == text
    assert "".join(text_blocks(path, block=block)) == text
    mark = "\ufeff" if encoding == "utf-8-sig" else ""
    assert "".join(text_blocks(path, block=block, keep_mark=True)) == mark + text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x28\xb5\x2f\xfd rest", "damaged or cut off (Zstandard)"),
        (zstandard.compress(b"hello " * 1000)[:-3], "damaged or cut off (Zstandard)"),
        (b"PK\x03\x04 rest", "a ZIP archive"),
        (b"PAR1 rest", "a Parquet file"),
        (b"GPTTOKEN rest", "a shard of prepared tokens"),
        (b"%PDF-1.7 rest", "a PDF document"),
        (np.lib.format.magic(1, 0) + b" rest", "a NumPy array"),
        ("hello, all of you".encode("utf-16-le"), "looks like UTF-16LE text"),
        ("hello, all of you".encode("utf-16-be"), "looks like UTF-16BE text"),
        (gzip.compress(b"PAR1 rest"), "a Parquet file"),
        (gzip.compress(b"hello " * 1000)[:-9], "damaged or cut off"),
        (lzma.compress(b"hello " * 1000)[:-9], "damaged or cut off"),
        (bz2.compress(bytes(range(256)) * 100)[:-9], "damaged or cut off"),
        (b"\xff\xfeh\x00\x00\xd8h\x00", "begins as UTF-16-LE and is not"),
        (b"caf\xe9", "is not UTF-8 text: byte 0xe9 at offset 3"),
        (b"\xef\xbb\xbfcaf\xe9", "byte 0xe9 at offset 6"),
        *((zip_of(name), words) for name, words in IN_ZIP.items()),
        (gzip.compress(gzip.compress(b"hello")), "compressed by gzip once more"),
        (b"Rar!\x1a\x07\x01\x00 rest", "a RAR archive"),
        (pickle.dumps({"text": "hello"}), "a pickle"),
        ("hello, all".encode("utf-32-le"), "looks like UTF-32LE"),
        ("hello, all".encode("utf-32-be"), "looks like UTF-32BE"),
        (bytes(range(128, 256)) + bytes(range(128)), "is not text but binary data"),
        ("Я помню чудное мгновенье".encode("utf-16-le") + b"\xff\xdf", "text in UTF-16 without a byte order mark"),
        ("Я помню чудное мгновенье".encode("cp1251"), "such as WINDOWS-1251, SHIFT-JIS or GB18030"),
        ("This is 日本語のテキスト".encode("shift_jis"), "iconv -f ENCODING"),
        ("Où est le café ?".encode("cp1252"), "iconv -f WINDOWS-1252"),
        (("größer\n" * 9).encode() + b"\xff", "is UTF-8 up to byte 0xff at offset 81"),
        (("größer\n" * 9).encode() + "ß".encode()[:1], "it is damaged or cut off"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,  # packed bytes hold the time, and workers must agree
)
def test_what_is_no_text_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a file"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_text(path)
    assert words in str(caught.value) and str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.JSONL", "a.ndjson", "a.jsonl.gz", "a"])
def test_json_is_named_with_the_command_that_prepares_it(name: str, tmp_path: Path) -> None:
    content = b'{"text": "one"}\n{"text": "two"}\n'
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(ValueError, match=r"gpt prepare"):
        require_no_json(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a", json.dumps({"text": "long " * 2000}), "gpt prepare"),
        ("a.data", json.dumps([{"text": "long " * 2000}]), "jq"),
        ("a.json", '{"text": "one"}\n{"text": "two"}\n', "holds JSON lines"),
        ("a.json", '[{"text": "one"},\n{"text": "two"}]\n', "jq"),
        ("a.json", '{"text":\n"one"}\n', "jq"),
    ],
)
def test_json_is_known_by_its_content(name: str, content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=words):
        require_no_json(tmp_path / name)


@pytest.mark.parametrize("text", ["[1] A note.", "{curly} words", '[{"quoted"} words]', "[[wiki]] link", "ORCHARD"])
def test_a_text_with_brackets_is_text(text: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(text)
    require_no_json(tmp_path / "a")
    assert read_text(tmp_path / "a") == text


def test_a_text_that_looks_like_json_is_text_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text('{"text": "one"}\n')
    require_no_json(tmp_path / "a.txt")


@pytest.mark.parametrize("name", ["a;touch X;.txt", "it's $HOME.txt", "-n.txt", "a b\x1b[2J.txt"])
def test_the_command_in_the_advice_is_quoted(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"caf\xe9")
    with pytest.raises(ValueError) as caught:
        read_text(tmp_path / name)
    command = str(caught.value).partition("convert it first: ")[2]
    assert shlex.split(command.removesuffix(" > converted.txt"))[-1] == str(tmp_path / name)
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    assert (tmp_path / "converted.txt").read_text(encoding="utf-8") == "café"
    assert not (tmp_path / "X").exists()


def test_what_may_never_end_is_not_opened(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe.txt", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path, kind in ((pipe, "a pipe"), (link, "a pipe"), (Path("/dev/zero"), "a device")):
        for read in (read_text, require_no_json, is_plain, text_files):
            with pytest.raises(ValueError, match=f"{path} is {kind}, not a file"):
                read(path)


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "link.txt").symlink_to("gone.txt")
    with pytest.raises(FileNotFoundError, match=r"link.txt is a link to gone.txt, which is not there"):
        text_files(tmp_path / "link.txt")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no root of errors of reading: /proc is Linux's")
def test_an_error_of_reading_names_the_file() -> None:
    with pytest.raises(OSError) as caught:
        read_text(Path("/proc/self/mem"))
    assert caught.value.filename == "/proc/self/mem"


def test_a_folder_that_cannot_be_read_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", ".hidden"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.txt").write_text("hello")
    assert sorted(files_below(tmp_path)) == text_files(tmp_path) == [tmp_path / "a" / "t.txt", tmp_path / "b" / "t.txt"]
    scandir = os.scandir

    def denied(path: Path) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    for read in (text_files, read_documents):
        with pytest.raises(PermissionError):
            read(tmp_path)
