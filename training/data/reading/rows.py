"""A row of a table or a line of JSON, as a document."""

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from gpt_from_scratch.training.data.source import Document, LeftOut


def json_row(line: bytes, where: str) -> dict[str, Any]:
    """The object of a line of JSON. Raises ValueError, which says where, for anything else."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{where} holds a {type(value).__name__}, expected an object with a text")
    return value


def document(row: Mapping[str, Any], field: str, where: str, validation_fraction: float) -> Document | LeftOut:
    """The text of a row; a row whose text is null has none.

    Raises:
        ValueError: the field is missing, or holds no text.
    """
    if field not in row:
        raise ValueError(f"{where} has no field {field!r}. {known_fields(field, list(row))}")
    text = row[field]
    if text is None:
        return LeftOut(where)
    if not isinstance(text, str):
        raise ValueError(f"{where}: the field {field!r} holds {type(text).__name__}, expected text")
    return of_split(text, validation_fraction)


def of_split(text: str, validation_fraction: float) -> Document:
    """A document whose split its own hash selects: the same on any machine, and equal texts are never on both sides."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return Document("validation" if int.from_bytes(digest) < validation_fraction * 2**64 else "train", text)


def known_fields(field: str, names: Sequence[str]) -> str:
    """The end of a message about a field that is not there: which are, and which was meant."""
    near = difflib.get_close_matches(field, names, n=1)
    guess = f" Did you mean --field {near[0]}?" if near else ""
    return f"It has {', '.join(map(repr, names)) or 'none'}; --field says which to take.{guess}"
