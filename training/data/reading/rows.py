"""Conversion of a table's row or a JSON line to a document."""

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from gpt_from_scratch.training.data.reading.user_functions import UserFunction
from gpt_from_scratch.training.data.source import Document, LeftOut, SourceRequest

USUAL_FIELDS = ("text", "content", "body", "document", "raw_content", "story", "article", "code")
"""Usual names of the text field, the most common first."""


class Rows:
    """Rules for rows: the text field, the filter, and the split of each row."""

    def __init__(self, asked: SourceRequest) -> None:
        """
        Raises:
            FileNotFoundError, ValueError: a function of the user's cannot be found.
        """
        self.field, self.validation_fraction = asked.field, asked.validation_fraction
        self.map = UserFunction(asked.map, "--map") if asked.map else None
        self.filter = UserFunction(asked.filter, "--filter") if asked.filter else None

    def describe(self, field: str | None) -> dict[str, Any]:
        """Everything that determines the document of a row, as JSON."""
        functions = {"map": self.map, "filter": self.filter}
        return {"field": field, **{name: made.described for name, made in functions.items() if made is not None}}

    def field_among(self, names: Sequence[str], texts: Sequence[str], where: str) -> str:
        """The text field, as configured or detected.

        Args:
            names: all fields.
            texts: the fields that hold text, in the first row or by their type.

        Raises:
            ValueError: the configured field does not exist, or the choice is ambiguous.
        """
        if self.field is not None:
            if self.field not in names:
                raise ValueError(f"{where} has no field {self.field!r}. {_known(self.field, names)}")
            return self.field
        usual = [name for name in USUAL_FIELDS if name in texts]
        others = [name for name in USUAL_FIELDS if name in names]  # of a first row that is null
        if found := usual[:1] or (list(texts) if len(texts) == 1 else others[:1]):
            return found[0]
        raise ValueError(f"{where} has no field 'text'. {_known('text', names)}")

    def document(self, row: Mapping[str, Any], field: str, where: str) -> Document | LeftOut:
        """The document of a row, or `LeftOut` for a row without a text or with a filtered text.

        Raises:
            ValueError: a user's function raised, or returned something else than text.
        """
        if self.map is not None:
            text = self.map(row, where)
            if text is None:
                return LeftOut(where, f"that {self.map.name} leaves out")
            if not isinstance(text, str):
                raise ValueError(
                    f"{where}: --map {self.map.name} returned {type(text).__name__}, expected text or None"
                )
        elif field not in row:
            return LeftOut(where, f"{where} has no field {field!r}. {_known(field, list(row))}", broken=True)
        elif (text := row[field]) is None:
            return LeftOut(where, f"whose {field!r} is null")
        elif not isinstance(text, str):
            message = f"{where}: the field {field!r} holds {type(text).__name__}, expected text"
            return LeftOut(where, message, broken=True)
        if self.filter is not None and not self.filter(text, where):
            return LeftOut(where, f"that {self.filter.name} refuses")
        return of_split(text, self.validation_fraction)


def json_row(line: bytes, where: str) -> dict[str, Any] | LeftOut:
    """Parse a line of JSON; anything but an object is left out as broken."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return LeftOut(where, f"{where} is not JSON: {error}", broken=True)
    if not isinstance(value, dict):
        kind = type(value).__name__
        return LeftOut(where, f"{where} holds a {kind}, expected an object with a text", broken=True)
    return value


def of_split(text: str, validation_fraction: float) -> Document:
    """A document whose split depends on its hash: the same on any machine, and equal texts are in the same split."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return Document("validation" if int.from_bytes(digest) < validation_fraction * 2**64 else "train", text)


def _known(field: str, names: Sequence[str]) -> str:
    """End of a message about a missing field: the existing fields, and a suggestion."""
    near = difflib.get_close_matches(field, names, n=1)
    guess = f" Did you mean --field {near[0]}?" if near else ""
    return f"It has {', '.join(map(repr, names)) or 'none'}; --field selects one.{guess}"
