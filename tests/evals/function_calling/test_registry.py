"""Whatever a model sends and whatever a function does: the model gets an answer, and no path of this machine."""

import asyncio
import dataclasses
import datetime
import json
import sys
import time
from typing import Any

import numpy as np
import pytest

from gpt_from_scratch.evals.function_calling.registry import ToolRegistry
from gpt_from_scratch.evals.function_calling.strict_schema import OPENAI
from gpt_from_scratch.evals.function_calling.tools import FunctionTool, UnsupportedToolError


def half(value: int, times: int = 1) -> int:
    """Divide by two.

    Args:
        value: an even number
        times: how often
    """
    for _ in range(times):
        value = _halved(value)
    return value


def _halved(value: int) -> int:
    if value % 2:
        raise ValueError(f"{value} is odd, see {__file__}")
    return value // 2


def read(name: str) -> str:
    """Read a file."""
    with open(f"/nowhere/secret-folder/{name}") as file:  # noqa: PTH123
        return file.read()


def quit_python() -> None:
    """Leave."""
    sys.exit(3)


def slow(seconds: float) -> str:
    """Sleep."""
    time.sleep(seconds)
    return "woke"


async def slow_async(seconds: float) -> str:
    """Sleep, asynchronously."""
    await asyncio.sleep(seconds)
    return "woke"


def long(size: int) -> str:
    """Say much."""
    return "x" * size


def registry(*functions: Any, **options: Any) -> ToolRegistry:
    return ToolRegistry(functions or (half, read, quit_python, slow, slow_async, long), OPENAI, **options)


def failure(name: str, arguments: Any, **options: Any) -> dict[str, Any]:
    result = registry(**options).resolve(name, arguments)
    assert result.is_error
    error: dict[str, Any] = json.loads(result.content)
    assert error.keys() == {"type", "message", "errors", "traceback"}
    for leak in ("/", ".py", "raise ", "return "):
        assert leak not in error["traceback"]
    assert "/" not in error["message"]
    return error


def test_results() -> None:
    @dataclasses.dataclass
    class Pair:
        when: datetime.date
        what: list[Any]

    class Odd:
        def __str__(self) -> str:
            return "odd thing"

    for value, text in [
        ("as it is", "as it is"),
        (5, "5"),
        (None, "null"),
        ({"ü": [1, 2.5]}, '{"ü":[1,2.5]}'),
        (Pair(datetime.date(2020, 1, 2), [True]), '{"when":"2020-01-02","what":[true]}'),
        (np.arange(3), "[0,1,2]"),
        (Odd(), '"odd thing"'),
    ]:
        result = registry(_returning(value)).resolve("give", "{}")
        assert (result.content, result.is_error) == (text, False)


def _returning(value: object) -> Any:
    def give() -> Any:
        """Give."""
        return value

    return give


@pytest.mark.parametrize("arguments", ["", "null", "{}", " ", {}])
def test_a_call_without_arguments(arguments: Any) -> None:
    assert registry(_returning("here")).resolve("give", arguments).content == "here"


def test_unknown_function() -> None:
    error = failure("double", "{}")
    assert error["type"] == "UnknownToolError"
    assert error["message"] == (
        "there is no function 'double'; the functions are: half, read, quit_python, slow, slow_async, long"
    )


@pytest.mark.parametrize("arguments", ['{"value": ', "[1]", "3", '"x"', "{'value': 1}"])
def test_arguments_that_are_no_json_object(arguments: str) -> None:
    assert failure("half", arguments)["type"] == "ArgumentsNotJSONError"


def test_wrong_arguments_are_told_before_the_call() -> None:
    error = failure("half", '{"value": "three", "extra": 1}')
    assert error["type"] == "ValidationError"
    assert [(e["loc"], e["input"]) for e in error["errors"]] == [(["value"], "three"), (["extra"], 1)]
    long_input = failure("half", json.dumps({"value": "x" * 10_000}))
    assert len(json.dumps(long_input)) < 1000


def test_a_raising_function() -> None:
    error = failure("half", '{"value": 7}')
    assert (error["type"], error["message"]) == ("ValueError", "7 is odd, see test_registry.py")
    names = [line.split(",")[0] for line in error["traceback"].splitlines()]
    assert names == ["half", "_halved"]


def test_an_error_with_a_path_and_an_exit() -> None:
    assert failure("read", '{"name": "key.txt"}')["message"] == "No such file or directory"
    assert failure("quit_python", "")["type"] == "SystemExit"


def test_a_result_that_is_too_large() -> None:
    assert registry(most_result_characters=10).resolve("long", '{"size": 10}').content == "x" * 10
    error = failure("long", '{"size": 11}', most_result_characters=10)
    assert error["type"] == "ResultTooLargeError" and "11 characters" in error["message"]


@pytest.mark.parametrize("function", ["slow", "slow_async"])
def test_timeouts(function: str) -> None:
    assert registry().resolve(function, '{"seconds": 0}').content == "woke"
    error = failure(function, '{"seconds": 5}', timeout=0.02)
    assert error["type"] in ("ToolTimeoutError", "TimeoutError")


def test_a_tools_own_timeout_wins() -> None:
    tools = registry(FunctionTool(slow, timeout=0.02), timeout=60.0)
    assert tools.resolve("slow", '{"seconds": 5}').is_error


def test_an_async_function_works_inside_a_running_loop() -> None:
    async def main() -> str:
        return registry().resolve("slow_async", '{"seconds": 0}').content

    assert asyncio.run(main()) == "woke"


def test_two_tools_of_one_name() -> None:
    with pytest.raises(UnsupportedToolError, match="two tools are called 'half'"):
        registry(half, half)
