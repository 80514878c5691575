"""The functions a model may call, and the call itself: whatever goes wrong becomes an answer that the model can read."""

import asyncio
import contextvars
import dataclasses
import inspect
import json
import re
import threading
import traceback
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pydantic
import pydantic_core

from gpt_from_scratch.evals.function_calling.strict_schema import Dialect
from gpt_from_scratch.evals.function_calling.tools import FunctionTool, Strict, ToolSchema, UnsupportedToolError


class UnknownToolError(ValueError):
    """The model called a function that it was not given."""


class ArgumentsNotJSONError(ValueError):
    """The model's arguments are not a JSON object."""


class ToolTimeoutError(TimeoutError):
    """A function took longer than it may."""


class ResultTooLargeError(ValueError):
    """A function's result has more characters than the model should be sent."""


@dataclasses.dataclass(frozen=True)
class ToolResult:
    """What goes back to the model: the function's result, or an error as JSON."""

    content: str
    is_error: bool


class ToolRegistry:
    """A set of functions under one vendor's rules.

    functions: functions, or `FunctionTool` where one needs its own timeout or validation
    strict: see `FunctionTool.schema`
    timeout: seconds a call may take. Python cannot stop a thread: a function that runs over is left behind, its result
        unused. None waits for ever.
    most_result_characters: a longer result is an error, which tells the model to ask for less

    Raises:
        UnsupportedToolError: two functions with one name, or one that cannot be offered.
    """

    def __init__(
        self,
        functions: Sequence[Callable[..., Any] | FunctionTool],
        dialect: Dialect,
        *,
        strict: Strict = "auto",
        validation: Literal["lax", "strict"] = "lax",
        timeout: float | None = 60.0,
        most_result_characters: int = 100_000,
    ) -> None:
        self.timeout = timeout
        self.most_result_characters = most_result_characters
        self._tools: dict[str, tuple[FunctionTool, ToolSchema]] = {}
        for function in functions:
            tool = function if isinstance(function, FunctionTool) else FunctionTool(function, validation=validation)
            if tool.name in self._tools:
                raise UnsupportedToolError(f"two tools are called {tool.name!r}: give one of them another name")
            self._tools[tool.name] = tool, tool.schema(strict, dialect)

    @property
    def schemas(self) -> list[ToolSchema]:
        return [schema for _, schema in self._tools.values()]

    def call(self, name: str, arguments: str | dict[str, Any]) -> Any:
        """Check the arguments and call the function.

        Raises:
            UnknownToolError, ArgumentsNotJSONError, pydantic.ValidationError, ToolTimeoutError: and what it raises.
        """
        if name not in self._tools:
            known = ", ".join(self._tools) or "none"
            raise UnknownToolError(f"there is no function {name!r}; the functions are: {known}")
        tool, schema = self._tools[name]
        positional, named = tool.bind(_parsed(arguments), null_means_default=schema.strict)
        timeout = self.timeout if tool.timeout is None else tool.timeout
        return _call_within(timeout, tool, positional, named)

    def resolve(self, name: str, arguments: str | dict[str, Any]) -> ToolResult:
        """Call the function; a failure of any kind is a result that says so."""
        try:
            content = _as_text(self.call(name, arguments))
            if len(content) > self.most_result_characters:
                raise ResultTooLargeError(
                    f"the result has {len(content)} characters, more than the {self.most_result_characters} allowed: "
                    f"ask for less"
                )
        # Whatever a user's function does, the model is told and the run goes on: this is the boundary to their code.
        except (Exception, SystemExit) as error:
            return ToolResult(json.dumps(_error_as_json(error), ensure_ascii=False), is_error=True)
        return ToolResult(content, is_error=False)


def _parsed(arguments: str | dict[str, Any]) -> Any:
    """The arguments as an object. Models write nothing, or null, for a call without arguments."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments) if arguments.strip() else {}
        except json.JSONDecodeError as error:
            raise ArgumentsNotJSONError(f"the arguments are not JSON: {error}") from error
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise ArgumentsNotJSONError(f"the arguments must be a JSON object, not {type(arguments).__name__}")
    return arguments


def _call_within(timeout: float | None, tool: FunctionTool, positional: list[Any], named: dict[str, Any]) -> Any:
    """Call in a thread of its own: it can be left behind, and an async function gets a loop even inside a notebook's."""
    outcome: list[Any] = []
    failure: list[BaseException] = []

    def target() -> None:
        try:
            result = tool.func(*positional, **named)
            outcome.append(asyncio.run(_awaited(result, timeout)) if inspect.isawaitable(result) else result)
        except BaseException as error:  # raised again in the caller's thread, where it belongs
            failure.append(error)

    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(target,), name=f"tool {tool.name}", daemon=True
    )
    thread.start()
    thread.join(timeout)
    if not outcome and not failure:
        raise ToolTimeoutError(f"{tool.name} took longer than {timeout} s")
    if failure:
        raise failure[0]
    return outcome[0]


async def _awaited(result: Awaitable[Any], timeout: float | None) -> Any:
    return await asyncio.wait_for(result, timeout)


def _as_text(result: Any) -> str:
    """A string as it is, anything else as JSON; what JSON lacks (an array, an object) as its list or its str()."""
    if isinstance(result, str):
        return result
    return pydantic_core.to_json(result, fallback=_fallback, inf_nan_mode="strings").decode()


def _fallback(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _error_as_json(error: BaseException) -> dict[str, Any]:
    """What a model may know of an error: enough to do better, nothing of the machine (no path, no source line)."""
    if isinstance(error, pydantic.ValidationError):
        details = [
            {"loc": list(e["loc"]), "msg": e["msg"], "type": e["type"], "input": _short(e["input"])}
            for e in error.errors(include_url=False, include_context=False)
        ]
        message = f"{error.error_count()} error(s) in the arguments of {error.title}"
    else:
        details = []
        message = error.strerror or "" if isinstance(error, OSError) and error.strerror else str(error)
    return {
        "type": type(error).__name__,
        "message": _without_paths(message),
        "errors": details,
        "traceback": _frames(error),
    }


def _frames(error: BaseException) -> str:
    """Function names and line numbers, innermost last, of the frames below this file's."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [i for i, frame in enumerate(frames) if frame.filename == __file__]
    return "\n".join(f"{frame.name}, line {frame.lineno}" for frame in frames[own[-1] + 1 if own else 0 :])


def _short(value: Any) -> Any:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return value if len(text) <= 200 else f"{text[:200]}…"


def _without_paths(text: str) -> str:
    """Absolute paths are cut to their last part."""
    return re.sub(r"(?<![\w:/.])(?:[A-Za-z]:\\|/)(?:[^\s/\\'\"]+[/\\])+[^\s/\\'\"]*", lambda m: Path(m[0]).name, text)
