"""Registry of the functions that a model may call. Every failure becomes a result that the model can read."""

import asyncio
import dataclasses
import inspect
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

from gpt_from_scratch.evals.function_calling.results import ResultTooLargeError, as_text, failure_as_text
from gpt_from_scratch.evals.function_calling.strict_schema import Dialect
from gpt_from_scratch.evals.function_calling.tools import FunctionTool, Strict, ToolSchema, UnsupportedToolError
from gpt_from_scratch.evals.protocol.deadline import TookTooLongError, bound_of, within

__all__ = [
    "ArgumentsNotJSONError",
    "ResultTooLargeError",
    "ToolRegistry",
    "ToolResult",
    "ToolTimeoutError",
    "UnknownToolError",
]


class UnknownToolError(ValueError):
    """The model called a function that it was not given."""


class ArgumentsNotJSONError(ValueError):
    """The model's arguments are not a JSON object."""


class ToolTimeoutError(TimeoutError):
    """A function took longer than it may."""


@dataclasses.dataclass(frozen=True)
class ToolResult:
    """The result for the model: the function's result, or an error as JSON."""

    content: str
    is_error: bool


class ToolRegistry:
    """A set of functions for one vendor.

    functions: functions, or `FunctionTool` where one needs its own timeout or validation
    strict: see `FunctionTool.schema`
    timeout: seconds a call may take. Python cannot stop a thread: a function that runs over is left behind, its result
        unused. None and infinity wait for ever.
    most_result_characters: a longer result is an error, which tells the model to ask for less; no error is longer
        (nor shorter than 400, so that it can say what to do)

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
        if not most_result_characters >= 1:  # also NaN, which no result is longer than
            raise ValueError(f"most_result_characters must be at least 1, not {most_result_characters}")
        self.timeout = bound_of(timeout)
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
        tool, schema = self._named(name)
        try:
            return within(self._timeout(tool), tool.name, lambda: self._run(tool, schema, arguments))
        except TookTooLongError as error:
            raise ToolTimeoutError(str(error)) from None

    def resolve(self, name: str, arguments: str | dict[str, Any]) -> ToolResult:
        """Call the function; any failure is returned as an error result.

        Only a KeyboardInterrupt of the user's own passes: one that the function raises is a failure of its own.
        """
        most = self.most_result_characters

        def work() -> ToolResult:
            # Whatever a user's function does, the model is told and the run goes on: this is the boundary to their code.
            try:
                return ToolResult(as_text(self._run(tool, schema, arguments), most), is_error=False)
            except BaseException as error:
                return _failure(error, most)

        try:
            tool, schema = self._named(name)
            return within(self._timeout(tool), tool.name, work)
        except TookTooLongError as error:
            return _failure(ToolTimeoutError(str(error)), most)
        except (UnknownToolError, RuntimeError) as error:  # the last: the machine has no thread left
            return _failure(error, most)

    def _named(self, name: str) -> tuple[FunctionTool, ToolSchema]:
        if not isinstance(name, str) or name not in self._tools:
            known = ", ".join(self._tools) or "none"
            raise UnknownToolError(f"there is no function {str(name)[:100]!r}; the functions are: {known}")
        return self._tools[name]

    def _timeout(self, tool: FunctionTool) -> float | None:
        return self.timeout if tool.timeout is None else tool.timeout

    def _run(self, tool: FunctionTool, schema: ToolSchema, arguments: str | dict[str, Any]) -> Any:
        """Run the function in the call's thread, so that an async function gets its own loop, even in a notebook."""
        positional, named = tool.bind(_parsed(arguments), null_means_default=schema.strict)
        result = tool.func(*positional, **named)
        if not inspect.isawaitable(result):
            return result
        result, ended = asyncio.run(_awaited(result, self._timeout(tool)))
        if ended is not None:
            raise ended
        return result


def _failure(error: BaseException, most: int) -> ToolResult:
    try:
        return ToolResult(failure_as_text(error, most), is_error=True)
    except BaseException as second:  # an exception class of the user's own, whose every method may raise
        message = f"the function failed, and its error cannot be told: {type(second).__name__}"
        return ToolResult(
            json.dumps({"type": "Exception", "message": message, "errors": [], "traceback": ""}), is_error=True
        )


def _parsed(arguments: str | dict[str, Any]) -> Any:
    """The arguments as an object. Models write nothing, or null, for a call without arguments."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError) as error:
            raise ArgumentsNotJSONError(f"the arguments are not JSON: {error}") from error
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise ArgumentsNotJSONError(f"the arguments must be a JSON object, not {type(arguments).__name__}")
    return arguments


async def _awaited(result: Awaitable[Any], timeout: float | None) -> tuple[Any, BaseException | None]:
    """The result, or one of the two exceptions for which asyncio leaves its loop at once, and prints a traceback."""

    async def outcome() -> tuple[Any, BaseException | None]:
        try:
            return await result, None
        except (KeyboardInterrupt, SystemExit) as error:
            return None, error

    return await asyncio.wait_for(outcome(), timeout)
