"""Typed access to untrusted JSON: an unexpected value is an error that names its place."""

import contextlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class JsonNode:
    """A value of a JSON document, and where it is: ``model.vocab``, ``added_tokens[3].id``."""

    value: Any
    place: str
    source: str

    def error(self, what: str) -> ValueError:
        """A ValueError that begins with the place."""
        return ValueError(f"{self.place or 'the document'} {what}")

    def warn(self, what: str) -> None:
        """Warn of what is left out here."""
        warnings.warn(f"{self.source}: {self.place} {what}", stacklevel=2)

    def expected(self, what: str) -> ValueError:
        """The error that this is not `what`."""
        try:
            found = json.dumps(self.value)
        except (TypeError, ValueError, RecursionError):
            found = repr(type(self.value))
        return self.error(f"is {found[:60]}, expected {what}")

    def __getitem__(self, key: Any) -> "JsonNode":
        """A field of an object; ValueError if it is no object or lacks the field."""
        self.object()
        if key not in self.value:
            raise self.error(f"lacks {key!r}")
        return JsonNode(self.value[key], f"{self.place}.{key}" if self.place else str(key), self.source)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a field that may be missing; ValueError if this is no object."""
        return self.object().get(key, default)

    def only(self, *known: str) -> None:
        """Raise ValueError if the object has a field that is not one of these, and not null."""
        for key, value in self.object().items():
            if key not in known and value is not None:
                raise self.error(f"has the field {key[:40]!r}, which is not known here")

    def object(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            raise self.expected("an object")
        return self.value

    def fields(self) -> list[tuple[str, "JsonNode"]]:
        """The names and values of an object; the names are texts that have a UTF-8 form."""
        return [(JsonNode(key, f"{self.place}, a name,", self.source).text(), self[key]) for key in self.object()]

    def items_of_list(self) -> list["JsonNode"]:
        if not isinstance(self.value, list):
            raise self.expected("a list")
        return [JsonNode(item, f"{self.place}[{index}]", self.source) for index, item in enumerate(self.value)]

    def pair(self) -> tuple["JsonNode", "JsonNode"]:
        """The items of a list of two."""
        items = self.items_of_list()
        if len(items) != 2:
            raise self.expected("a list of two")
        return items[0], items[1]

    def choice(self, *known: Any) -> Any:
        """One of the known values."""
        if not isinstance(self.value, str) or self.value not in known:
            raise self.expected(f"one of {', '.join(known)}")
        return self.value

    def text(self) -> str:
        """A text that has a UTF-8 form: JSON can also write half a surrogate pair."""
        if not isinstance(self.value, str):
            raise self.expected("a text")
        try:
            self.value.encode("utf-8")
        except UnicodeEncodeError:
            raise self.error("holds half a surrogate pair, which no text in UTF-8 can") from None
        return self.value

    def boolean(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.expected("true or false")
        return self.value

    def number(self) -> int:
        """A whole number from 0 to 2^31 - 1, such as an id."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or not 0 <= self.value < 1 << 31:
            raise self.expected("a whole number from 0 to 2^31 - 1")
        return self.value


@contextlib.contextmanager
def named(source: Path | str) -> Iterator[None]:
    """Put the name of a file before each ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
