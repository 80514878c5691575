"""Results of function calls for the model: text, or a failure as JSON, with bounded size."""

import collections
import dataclasses
import inspect
import json
import math
import re
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pydantic
import pydantic_core

from gpt_from_scratch.evals.protocol.messages import without_surrogates

MOST_DEPTH = 100
LEAST_OF_A_FAILURE = 400
"""Characters that a failure may have in any case: it must say what to do."""
_OF_PYDANTIC = "__pydantic_serializer__"
"""What has it writes itself as it was told to."""
_SERIES = (list, tuple, set, frozenset, collections.deque, Iterator)


class ResultTooLargeError(ValueError):
    """A function's result has more characters than the model should be sent."""


def as_text(result: Any, most: int) -> str:
    """A string as it is, anything else as JSON; what JSON lacks (an array, an object) as its list or its str().

    Raises:
        ResultTooLargeError: it has more than `most` characters; an endless one is given up there.
        ValueError, TypeError: it holds itself, or a coroutine; and what its own methods raise.
    """
    if isinstance(result, str):
        text = without_surrogates(str(result))
    else:
        plain = _Plain(most).of(result, MOST_DEPTH)
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    if len(text) > most:
        raise _too_large(str(len(text)), most)
    return text


def _too_large(size: str, most: int) -> ResultTooLargeError:
    return ResultTooLargeError(f"the result has {size} characters, more than the {most} allowed: ask for less")


class _Plain:
    """Makes plain JSON values, and stops where they must be too long for the text."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.left = most

    def take(self, characters: int) -> None:
        self.left -= characters
        if self.left < 0:
            raise _too_large("far too many", self.most)

    def of(self, value: Any, depth: int) -> Any:
        self.take(1)
        if depth == 0:
            raise ValueError(f"the result is nested deeper than {MOST_DEPTH} levels, or holds itself")
        if isinstance(value, str):
            self.take(len(value))
            return without_surrogates(str(value))
        if value is None or isinstance(value, bool) or type(value) is int:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"
        if isinstance(value, bytes | bytearray | memoryview):
            self.take(len(value))
            return bytes(value).decode("utf-8", "replace")
        if isinstance(value, Mapping):
            return {self.name(name): self.of(item, depth - 1) for name, item in value.items()}
        if isinstance(value, _SERIES):
            return [self.of(item, depth - 1) for item in value]
        if inspect.isawaitable(value) or inspect.isasyncgen(value):
            if inspect.iscoroutine(value):
                value.close()
            raise TypeError("the result holds a coroutine or an async generator: the function must await it")
        if dataclasses.is_dataclass(value) and not isinstance(value, type) and not hasattr(value, _OF_PYDANTIC):
            return {field.name: self.of(getattr(value, field.name), depth - 1) for field in dataclasses.fields(value)}
        if isinstance(value, pydantic.BaseModel):
            return self.of(value.model_dump(), depth - 1)  # in Python's types: an endless iterator stays one
        # A date, an enum ...: its parts may be any of the above again.
        made = pydantic_core.to_jsonable_python(
            value, fallback=self.other, inf_nan_mode="strings", serialize_unknown=False, bytes_mode="base64"
        )
        return self.of(made, depth - 1)

    def name(self, name: Any) -> str:
        text = name if isinstance(name, str) else json.dumps(self.of(name, 2))
        self.take(len(text))
        return without_surrogates(str(text))

    def other(self, value: Any) -> Any:
        """An object that pydantic does not know: an array as its list, anything else as its str()."""
        if not hasattr(value, "tolist"):
            return str(value)
        self.take(math.prod(getattr(value, "shape", ())) - 1)
        return value.tolist()


def failure_as_text(error: BaseException, most: int) -> str:
    """An error as JSON for the model: enough to correct the call, without paths or source lines of this machine.

    At most `most` characters, or 400 where that is less.
    """
    most = max(most, LEAST_OF_A_FAILURE)
    details: list[Any] = []
    if isinstance(error, pydantic.ValidationError):
        count = error.error_count()
        message = f"{count} error(s) in the arguments of {error.title}"
        # All of them are made before the first is read, so a list of a million wrong items is not asked for any.
        listed = error.errors(include_url=False, include_context=False)[:10]
        details = [
            {
                "loc": [_short(part, 60) for part in list(e["loc"])[-5:]],
                "msg": _short(e["msg"], 200),
                "type": e["type"],
                "input": _short(e["input"], 200),
            }
            for e in listed
        ]
        if count > len(details):
            message += f", of which these are the first {len(details)}"
    else:
        message = _message(error)
    said = {
        "type": _clean(type(error).__name__, 100),
        "message": _without_paths(_clean(message, 4000)),
        "errors": details,
        "traceback": _frames(error),
    }
    return _within(said, most)


def _within(said: dict[str, Any], most: int) -> str:
    """Encode as JSON of at most `most` characters: first the list is cut, then the traceback, then the message."""
    while len(text := json.dumps(said, ensure_ascii=False)) > most:
        if said["errors"]:
            said["errors"].pop()
        elif said["traceback"]:
            said["traceback"] = ""
        else:
            said["message"] = said["message"][: len(said["message"]) // 2]
    return without_surrogates(text)


def _message(error: BaseException) -> str:
    try:
        return str(error.strerror if isinstance(error, OSError) and error.strerror else error)
    except BaseException as second:  # the text is made by the user's code, which may raise whatever it likes
        return f"its text cannot be made: {type(second).__name__}"


def _frames(error: BaseException) -> str:
    """Function names and line numbers, innermost last, of the frames below this package's; the last twenty."""
    summary = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)
    here = str(Path(__file__).parent)
    own = [i for i, frame in enumerate(summary) if str(Path(frame.filename).parent) == here]
    frames = summary[own[-1] + 1 if own else 0 :][-20:]
    return "\n".join(f"{_clean(frame.name, 100)}, line {frame.lineno}" for frame in frames)


def _short(value: Any, most: int) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > most:
        return f"{without_surrogates(text[:most])}…"
    return without_surrogates(value) if isinstance(value, str) else value


def _clean(text: str, most: int) -> str:
    return without_surrogates(text if len(text) <= most else f"{text[:most]}…")


def _without_paths(text: str) -> str:
    """Absolute paths are cut to their last part."""
    return re.sub(r"(?<![\w:/.])(?:[A-Za-z]:\\|/)(?:[^\s/\\'\"]+[/\\])+[^\s/\\'\"]*", lambda m: Path(m[0]).name, text)
