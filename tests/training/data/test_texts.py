"""Text from the user's files and folders, and a clear error for each that cannot be used."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_from_scratch.support.storage.text_files import read_text
from gpt_from_scratch.training.data.reading.texts import read_texts, split_texts, text_files


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"text of {name}")


def test_a_folder_gives_its_text_files_in_order(tmp_path: Path) -> None:
    write(tmp_path, "b.txt", "a/z.md", "a/b/c.TXT", "a.txt", "picture.png", ".hidden.txt", ".git/x.txt", "a/.b/y.md")
    names = [file.relative_to(tmp_path).as_posix() for file in text_files(tmp_path)]
    assert names == ["a/b/c.TXT", "a/z.md", "a.txt", "b.txt"]
    assert read_texts(tmp_path) == [f"text of {name}" for name in names]


def test_links_stay_inside_the_folder(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    write(outside, "secret.txt", "folder/more.txt")
    write(inside, "a.txt")
    (inside / "out.txt").symlink_to(outside / "secret.txt")
    (inside / "folder").symlink_to(outside / "folder")
    (inside / "round").symlink_to(inside)
    (inside / "broken.txt").symlink_to(inside / "nothing")
    (inside / "b.txt").symlink_to("a.txt")
    os.mkfifo(inside / "pipe.txt")
    assert [file.name for file in text_files(inside)] == ["a.txt", "b.txt"]
    (tmp_path / "door").symlink_to(inside)  # the user named this one
    assert [file.name for file in text_files(tmp_path / "door")] == ["a.txt", "b.txt"]


def test_a_file_may_have_any_name_and_keeps_every_character(tmp_path: Path) -> None:
    path = tmp_path / "novel.text"
    path.write_bytes("\ufeffa\r\nb\tc\0é\u2028🙂\n".encode())
    assert read_texts(path) == ["a\r\nb\tc\0é\u2028🙂\n"]


def test_what_is_missing_is_named_with_a_guess(tmp_path: Path) -> None:
    write(tmp_path, "shakespeare.txt")
    with pytest.raises(
        FileNotFoundError, match=r"no file or folder .*shakespear\.txt\. Did you mean .*/shakespeare\.txt\?"
    ):
        read_texts(tmp_path / "shakespear.txt")
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*/nowhere/at/all\.$"):
        read_texts(tmp_path / "nowhere" / "at" / "all")


def test_a_folder_without_text(tmp_path: Path) -> None:
    write(tmp_path, "picture.png")
    with pytest.raises(FileNotFoundError, match=r"expected files named \*\.txt or \*\.md"):
        read_texts(tmp_path)


@pytest.mark.parametrize("content", ["", " \n\t\n", "\ufeff"])
def test_empty_text(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.txt").write_text(content, encoding="utf-8")
    for path in (tmp_path, tmp_path / "a.txt"):
        with pytest.raises(ValueError, match=f"{path} is empty"):
            read_texts(path)
    write(tmp_path, "b.txt")
    assert read_texts(tmp_path) == ["text of b.txt"]


@pytest.mark.parametrize(
    "data, fault",
    [
        (b"caf\xe9 au lait", "is not UTF-8 text: byte 0xe9 at offset 3 "),
        (b"\xef\xbb\xbfabc\xff", "is UTF-8 up to byte 0xff at offset 6 "),  # its mark says that it is UTF-8
        (b"a\xc3", "is not UTF-8 text: byte 0xc3 at offset 1 "),
    ],
)
def test_a_file_that_is_not_utf8(tmp_path: Path, data: bytes, fault: str) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"latin\.txt {fault}"):
        read_text(path)


@settings(deadline=None)
@given(st.lists(st.text(max_size=20)), st.floats(0.05, 0.95))
def test_a_split_keeps_every_character_in_order(texts: list[str], fraction: float) -> None:
    train, validation = split_texts(texts, fraction)
    whole = "".join(texts)
    assert "".join(train) + "".join(validation) == whole
    assert len("".join(train)) == int(fraction * len(whole))
    assert "" not in train + validation


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_a_split_leaves_something_on_both_sides(fraction: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        split_texts(["text"], fraction)
