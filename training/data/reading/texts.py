"""Texts of the user's file or folder: found, read, and split into training and validation."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from gpt_from_scratch.support.storage.text_files import (
    PLAIN_NAMES,
    SUFFIXES,
    files_below,
    read_text,
    require_file,
    require_no_json,
)
from gpt_from_scratch.training.data.source import Texts

FOLDER_NAMES = tuple(f"{plain}{packed}" for plain in PLAIN_NAMES for packed in ("", *SUFFIXES))
"""Name suffixes that are read from a folder. A file that is given directly may have any name."""


def text_files(path: Path) -> list[Path]:
    """The file itself, or the *.txt and *.md files of a folder and its subfolders (also *.txt.gz …), sorted by name.

    Hidden files and folders are left out, and so are links to folders and links that lead out of the folder.

    Raises:
        FileNotFoundError: `path` does not exist, or the folder has no such file.
    """
    if path.is_file():
        return [path]
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(f"{path} is a link to {path.readlink()}, which is not there")
    if path.exists():
        require_file(path)
    if not path.is_dir():
        near = difflib.get_close_matches(path.name, _names(path.parent), n=1)
        hint = f" Did you mean {path.parent / near[0]}?" if near else ""
        raise FileNotFoundError(f"no file or folder {path}.{hint}")
    root = path.resolve()
    named = (file for file in files_below(path) if file.name.lower().endswith(FOLDER_NAMES))
    found = [file for file in named if file.is_file() and file.resolve().is_relative_to(root)]
    if not found:
        raise FileNotFoundError(
            f"{path} holds no text: expected files named *.txt or *.md (hidden ones and links that lead out are left out). "
            "Give the path of a file to train on one of another name."
        )
    return sorted(found, key=lambda file: file.relative_to(path).parts)


def read_texts(path: Path) -> list[str]:
    """Read the texts of `text_files(path)`, without those that are blank.

    Raises:
        FileNotFoundError, ValueError: as `text_files` and `read_text`, and if all of them are empty.
    """
    texts = []
    for file in text_files(path):
        require_no_json(file)
        if (text := read_text(file)).strip():
            texts.append(text)
    if not texts:
        raise ValueError(f"{path} is empty: there is no text in it to train on")
    return texts


def split_texts(texts: Sequence[str], train_fraction: float = 0.9) -> tuple[list[str], list[str]]:
    """Split texts into (train, validation): the first part of all characters, in order, and the rest. A text may be cut."""
    if not 0 < train_fraction < 1:
        raise ValueError(
            f"train_fraction is {train_fraction}: give a share between 0 and 1, so that both parts have text"
        )
    left = int(train_fraction * sum(map(len, texts)))
    train, validation = [], []
    for text in texts:
        cut = min(left, len(text))
        left -= cut
        train.append(text[:cut])
        validation.append(text[cut:])
    return [text for text in train if text], [text for text in validation if text]


def split_for_a_run(texts: Sequence[str], validation_fraction: float) -> Texts:
    """Split texts for a run, which needs both parts. Raises ValueError if the validation part is empty."""
    train, validation = split_texts(texts, 1 - validation_fraction)
    if not validation:
        raise ValueError(f"the last {validation_fraction:.0%} of the text, for validation, are empty: give more text")
    return Texts(train, validation)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
