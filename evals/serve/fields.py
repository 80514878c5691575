"""Typed and bounded access to the fields of a request's JSON; unknown fields are errors."""

import difflib
import json
import math
from typing import Any

from gpt_from_scratch.evals.serve.errors import RequestError
from gpt_from_scratch.evals.serve.limits import ServerLimits


def parse_object(body: bytes, depth: int = ServerLimits.depth) -> dict[str, Any]:
    """A JSON object whose parts lie at most `depth` deep in one another, so that whatever walks it has room on its stack.

    Raises RequestError on anything else: NaN, a name that an object has twice (which value counts is a matter of taste).
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise ValueError(f"the name {name[:100]!a} comes twice in one object")
            found[name] = value
        return found

    try:
        value = json.loads(body, parse_constant=refuse, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise RequestError(f"the body must be a JSON object, it is a {type(value).__name__}")
    level: list[Any] = [value]
    for _ in range(depth):
        level = [part for one in level for part in (one.values() if isinstance(one, dict) else one) if _holds(part)]
        if not level:
            return value
    raise RequestError(f"the body's lists and objects may lie {depth} deep in one another, these lie deeper")


def _holds(value: Any) -> bool:
    return isinstance(value, dict | list)


class RequestFields:
    """Take each field once, then call `done`. A null counts as absent."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._left = {name: value for name, value in values.items() if value is not None}
        self._known: list[str] = []

    def take(self, name: str) -> Any:
        """The field as it is, None if absent."""
        self._known.append(name)
        return self._left.pop(name, None)

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise RequestError(f"{name} must be an integer from {low} to {high}, not {_shown(value)}", param=name)
        return value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise RequestError(f"{name} must be a number from {low:g} to {high:g}, not {_shown(value)}", param=name)
        return float(value)

    def boolean(self, name: str, default: bool = False) -> bool:
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise RequestError(f"{name} must be true or false, not {_shown(value)}", param=name)
        return value

    def text(self, name: str) -> str:
        """A text that must be there."""
        value = self.take(name)
        if not isinstance(value, str):
            raise RequestError(f"{name} must be a text, not {_shown(value)}", param=name)
        return value

    def texts(self, name: str, most: int, longest: int) -> list[str]:
        """A text or a list of texts, none of them empty; absent is the empty list."""
        value = self.take(name)
        values = [] if value is None else [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
            raise RequestError(f"{name} must be a text or a list of texts, not {_shown(value)}", param=name)
        values = [text for text in values if text]
        if len(values) > most or any(len(text) > longest for text in values):
            raise RequestError(f"{name} may have {most} texts of {longest} characters", param=name)
        return values

    def unsupported(self, name: str, *neutral: Any) -> None:
        """A field of OpenAI's that this server does not have: allowed only where its value changes nothing."""
        value = self.take(name)
        if value is not None and value not in neutral:
            raise RequestError(f"{name} is not supported by this server, got {_shown(value)}", param=name)

    def ignored(self, *names: str) -> None:
        """Fields that never change what is generated."""
        for name in names:
            self.take(name)

    def done(self) -> None:
        """Raise RequestError on a field nobody took."""
        for name in self._left:
            close = difflib.get_close_matches(name[:100], self._known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise RequestError(f"there is no field {name[:100]!r} here.{hint}", param=ascii(name[:100]))


def _shown(value: Any) -> str:
    """A value for a message, never long."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**30:
        return "an integer of more than 30 digits"
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
