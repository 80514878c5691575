"""Typed access to the fields of a config.json."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.command_line.described import shown, value_of


class ConfigFields:
    """A config.json whose errors name the file and the field."""

    def __init__(self, described: Mapping[str, Any], path: Path) -> None:
        self.described, self.path = described, path

    def required(self, name: str, kind: Any) -> Any:
        """The value of a field that must be there, of the type `kind`.

        Raises:
            ValueError: it is missing, or of another type.
        """
        if name not in self.described:
            raise self.error(f"not a whole description of a GPT: {name} is missing")
        return self.given(name, kind, None)

    def given(self, name: str, kind: Any, default: Any) -> Any:
        """The value of a field, or `default` where it is absent.

        Raises:
            ValueError: it is of another type than `kind`.
        """
        if name not in self.described:
            return default
        try:
            return value_of(kind, self.described[name], name)
        except ValueError as error:
            raise self.error(str(error)) from None

    def only(self, name: str, *allowed: Any, of: str) -> None:
        """Refuse a field that has another value than these; absent, it has the first.

        Raises:
            ValueError: it has.
        """
        value = self.described.get(name, allowed[0])
        if not any(value == one and type(value) is type(one) for one in allowed):
            raise self.error(f"{name} is {shown(value)}, {of} has {allowed[0]!r}; this model is not supported")

    def error(self, message: str) -> ValueError:
        """A mistake in this file."""
        return ValueError(f"{self.path}: {message}")
