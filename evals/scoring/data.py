"""Readers of the user's data sets, checked line by line, with the file's name in every error."""

import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from gpt_from_scratch.support.storage.file_kinds import not_decodable
from gpt_from_scratch.support.storage.text_files import read_text

Place = Path | zipfile.Path
T = TypeVar("T")


def require(path: Place, how: str) -> None:
    """Raise FileNotFoundError, with how to get the data, if there is nothing at `path`."""
    if not path.exists():
        raise FileNotFoundError(f"there is no data at {path}. {how}")


def text_of(path: Place) -> str:
    """The text of a file, or of a file within a zip.

    Raises:
        ValueError: it is no text, or damaged; says which file.
    """
    if isinstance(path, Path):
        return read_text(path)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(not_decodable(Path(str(path)), error)) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(f"{path} cannot be unpacked: {error}. Copy the zip again") from error


def read_jsonl(path: Place) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line's object, with "FILE line N" for error messages; empty lines do not count.

    Raises:
        ValueError: as `text_of`; a line that is not a JSON object.
    """
    for number, line in enumerate(text_of(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{where} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"{where} holds a JSON {type(row).__name__}, expected an object")
        yield where, row


def take(row: dict[str, Any], name: str, kind: type[T], where: str) -> T:
    """A field of the given type. Raises ValueError."""
    if name not in row:
        raise ValueError(f"{where} has no {name!r}; it has {', '.join(map(repr, row))}")
    if not isinstance(row[name], kind) or isinstance(row[name], bool):
        raise ValueError(f"{where}: {name!r} must be a {kind.__name__}, it is {row[name]!r}")
    value: T = row[name]
    return value


def take_texts(row: dict[str, Any], name: str, where: str) -> list[str]:
    """A field that is a list of at least one text. Raises ValueError."""
    texts = take(row, name, list, where)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{where}: {name!r} must be a list of texts, it is {texts!r}")
    return texts


def take_index(row: dict[str, Any], name: str, size: int, where: str) -> int:
    """A field that points into a list of `size`, as a number or its digits. Raises ValueError."""
    value = row.get(name)
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < size:
        raise ValueError(f"{where}: {name!r} must be a number from 0 to {size - 1}, it is {value!r}")
    return number
