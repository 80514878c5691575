"""Limits of a call of a tool: its time, its arguments, the length of an error, and Ctrl-C."""

import gc
import json
import math
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from gpt_from_scratch.evals.function_calling.registry import ToolRegistry
from gpt_from_scratch.evals.function_calling.strict_schema import ANTHROPIC, OPENAI
from gpt_from_scratch.evals.function_calling.tools import FunctionTool
from tests.evals.function_calling.odd_behaviours import acting


def test_a_wrong_list_of_thousands_is_told_in_bounds() -> None:
    def add(numbers: list[int]) -> int:
        """Add."""
        return sum(numbers)

    for wrong in (["x"] * 20_000, [{"a": "b" * 10_000}] * 50):
        for most in (500, 100_000):
            result = ToolRegistry([add], OPENAI, most_result_characters=most).resolve(
                "add", json.dumps({"numbers": wrong})
            )
            assert result.is_error and len(result.content) <= most and result.content.encode()
            error = json.loads(result.content)
            assert error["message"].startswith(f"{len(wrong)} error(s) in the arguments of add")
    names = json.dumps({"x" * 100_000: 1, **{str(i): i for i in range(5000)}})
    assert len(ToolRegistry([add], OPENAI).resolve("add", names).content) < 10_000
    for odd in ("[" * 100_000, "\ud800", '{"numbers": ["\\ud800"]}', "1" * 10_000, '{"numbers": [NaN]}'):
        assert ToolRegistry([add], OPENAI).resolve("add", odd).is_error
    assert ToolRegistry([add], OPENAI, most_result_characters=1).resolve("y" * 10_000, "{}").is_error


def test_what_a_tool_does_to_its_arguments_stays_there() -> None:
    def spoil(items: list[Any], more: dict[str, Any]) -> int:
        """Spoil."""
        items.append(items)
        more.clear()
        return len(items)

    arguments = {"items": [1, {"a": 2}], "more": {"x": [1]}}
    registry = ToolRegistry([spoil], ANTHROPIC, strict=False)
    assert registry.resolve("spoil", arguments).content == registry.resolve("spoil", arguments).content == "3"
    assert arguments == {"items": [1, {"a": 2}], "more": {"x": [1]}}


def test_the_users_own_ctrl_c_passes() -> None:
    """In the main thread of a process of its own: the call is waiting for the tool when the signal comes."""
    code = """
import threading
from gpt_from_scratch.evals.function_calling.registry import ToolRegistry
from gpt_from_scratch.evals.function_calling.strict_schema import OPENAI

def slow() -> str:
    "Wait."
    print("began", flush=True)
    threading.Event().wait(60)
    return ""

try:
    ToolRegistry([slow], OPENAI).resolve("slow", "{}")
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "began\n"
        os.kill(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "stopped\n" and process.wait(60) == 0


@pytest.mark.parametrize("seconds", [math.inf, 1e300, 1e12, 10**400, None])
def test_a_time_that_no_clock_reaches_is_for_ever(seconds: Any) -> None:
    async def later() -> str:
        """Say when."""
        return "now"

    registries = [ToolRegistry([later], OPENAI, timeout=seconds)]
    registries += [ToolRegistry([FunctionTool(later, timeout=seconds)], OPENAI, timeout=given) for given in (5, None)]
    for registry in registries:
        assert registry.resolve("later", "{}").content == "now"


@pytest.mark.parametrize("seconds", [0, -1, math.nan, -math.inf])
def test_a_time_that_is_none_is_refused(seconds: Any) -> None:
    for make in (lambda: ToolRegistry([], OPENAI, timeout=seconds), lambda: FunctionTool(sys.exit, timeout=seconds)):
        with pytest.raises(ValueError, match="timeout must be a number of seconds above 0, or None"):
            make()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=["interrupt", "exit"])
def test_an_async_tool_that_would_end_its_loop_leaves_no_traceback_behind(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise error

    result = ToolRegistry([acting(fail)], OPENAI).resolve("tool", "{}")
    gc.collect()  # asyncio complains of a task whose exception nobody took when it is collected
    assert result.is_error and type(error).__name__ in result.content
    assert not caplog.records
