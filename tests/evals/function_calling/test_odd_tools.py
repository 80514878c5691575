"""Whatever a function does becomes a result that the model can read, bounded in size: 200 generated behaviours."""

import asyncio
import collections
import dataclasses
import datetime
import gc
import itertools
import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import types
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pydantic
import pytest

from gpt_from_scratch.evals.function_calling.openai.function_calling_provider import OpenAIFunctionCallingProvider
from gpt_from_scratch.evals.function_calling.registry import ToolRegistry
from gpt_from_scratch.evals.function_calling.strict_schema import ANTHROPIC, OPENAI
from gpt_from_scratch.evals.function_calling.tools import FunctionTool
from gpt_from_scratch.evals.protocol.samples import QA
from gpt_from_scratch.evals.runs.run_samples import run_samples

MOST = 1000


class Fatal(BaseException):
    """No Exception."""


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class SilentForGood(BaseException):
    def __str__(self) -> str:
        raise SystemExit(5)

    __repr__ = __str__


class NoText(Exception):
    def __str__(self) -> Any:
        return 5


class Unfriendly:
    def __getattr__(self, name: str) -> Any:
        raise Fatal(name)

    def __str__(self) -> str:
        raise Fatal("str")

    __repr__ = __str__


class Sneaky(str):
    def __str__(self) -> str:
        return "\ud800" * 5

    def __len__(self) -> int:
        return 1


class Model(pydantic.BaseModel):
    inner: Iterable[Any]


@dataclasses.dataclass
class Holder:
    inner: Any


def _circle() -> Any:
    made: list[Any] = []
    made.append({"again": made})
    return made


def _deep(levels: int) -> Any:
    made: Any = 1
    for _ in range(levels):
        made = [made]
    return made


async def _never_awaited() -> int:
    return 1


async def _counts() -> Any:
    yield 1


def _cancelled() -> Any:
    async def main() -> Any:
        async def forever() -> None:
            await asyncio.Event().wait()

        task = asyncio.create_task(forever())
        asyncio.get_running_loop().call_soon(task.cancel)
        return await task

    return main()


def _recurse() -> Any:
    return _recurse()


def _warn() -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.warn("careful", ResourceWarning, stacklevel=1)
    return "unreachable"


def _raising(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


def _in_a_task(error: BaseException) -> Callable[[], Any]:
    async def main() -> Any:
        async def fail() -> None:
            raise error

        await asyncio.create_task(fail())

    return main


ERRORS: list[BaseException] = [
    *(
        Fatal("x"),
        Silent(),
        SilentForGood(),
        NoText(),
        GeneratorExit(),
        KeyboardInterrupt(),
        SystemExit("bye"),
        SystemExit(),
    ),
    *(
        asyncio.CancelledError(),
        StopIteration(3),
        StopAsyncIteration(),
        MemoryError(),
        RecursionError("deep"),
        OSError(),
    ),
    *(
        ValueError("\ud83d half"),
        ValueError("x" * 10**6),
        ValueError("/a" * 10**5),
        KeyError(_deep(50)),
        TimeoutError(),
    ),
    *(ExceptionGroup("several", [ValueError("a"), TypeError("b")]), BaseExceptionGroup("b", [Fatal("c")])),
    *(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), OSError(2, "\udc80 no file", "/home/someone/secret")),
    type("N" * 5000, (Exception,), {})("long name"),
]
VALUES: list[Callable[[], Any]] = [
    *(_circle, lambda: _deep(99), lambda: _deep(101), lambda: _deep(5000), lambda: b"\xff\x00", lambda: bytearray(5)),
    *(
        lambda: float("nan"),
        lambda: [float("inf"), -float("inf")],
        lambda: 10**5000,
        lambda: "\ud83d",
        lambda: {"\udc00": 1},
    ),
    *(
        lambda: {1: "a", None: "b", (1, 2): "c"},
        lambda: {b"k": 1},
        lambda: {Unfriendly(): 1},
        Unfriendly,
        lambda: [Unfriendly()],
    ),
    *(itertools.count, lambda: {"a": itertools.repeat("x" * 100)}, lambda: (i for i in range(5)), lambda: iter([])),
    *(lambda: [_never_awaited()], lambda: {"a": _counts()}, _counts, lambda: "x" * 10**7, lambda: ["x"] * 10**6),
    *(
        lambda: np.zeros(10**6),
        lambda: np.float32("nan"),
        lambda: np.array([object()]),
        lambda: np.arange(4).reshape(2, 2),
    ),
    *(
        lambda: Holder(Holder(float("nan"))),
        lambda: Holder("\ud800"),
        lambda: Holder(itertools.count()),
        lambda: Holder(_circle()),
        lambda: Model(inner=itertools.count()),
        lambda: Model(inner=[1, {"a": datetime.date(2020, 1, 2)}]),
    ),
    *(
        lambda: {1, 2},
        lambda: collections.deque([1], 3),
        lambda: datetime.timedelta(days=1),
        lambda: print,
        lambda: sys,
    ),
    *(
        lambda: types.MappingProxyType({"a": 1}),
        lambda: collections.ChainMap({"a": 1}),
        lambda: range(3),
        lambda: memoryview(b"a"),
    ),
    *(
        lambda: Sneaky("y"),
        lambda: [Sneaky("y")],
        lambda: None,
        lambda: "",
        lambda: True,
        lambda: object,
        lambda: Ellipsis,
    ),
    *(_cancelled, _recurse, _warn, lambda: asyncio.sleep(0), lambda: sys.exit("\ud800"), lambda: next(iter(()))),
]


def behaviours(count: int) -> list[Callable[[], Any]]:
    """All of the above, and then mixtures of them."""
    rng = random.Random(0)
    made = [*VALUES, *(_raising(error) for error in ERRORS), *(_in_a_task(error) for error in ERRORS)]

    def mixed() -> Callable[[], Any]:
        parts = rng.sample(VALUES, 2)
        wrap = rng.choice(
            [list, tuple, Holder, lambda items: {"a": items[0], "b": items[1]}, lambda items: (i for i in items)]
        )
        return lambda: wrap([part() for part in parts])

    return [*made, *(mixed() for _ in range(count - len(made)))]


def acting(act: Callable[[], Any]) -> Any:
    def tool() -> Any:
        """Do something."""
        return act()

    return tool


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # some leave a coroutine unawaited
@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC], ids=lambda dialect: dialect.vendor)
def test_two_hundred_behaviours_are_two_hundred_results(dialect: Any) -> None:
    kinds = collections.Counter[bool]()
    for act in behaviours(200):
        result = ToolRegistry([acting(act)], dialect, most_result_characters=MOST).resolve("tool", "{}")
        kinds[result.is_error] += 1
        assert len(result.content.encode("utf-16", "strict")) <= 2 * MOST + 2
        if result.is_error:
            error = json.loads(result.content)
            assert error.keys() == {"type", "message", "errors", "traceback"} and error["type"]
            assert "secret" not in error["message"] or "/home" not in error["message"]
    assert kinds[True] + kinds[False] == 200 and min(kinds.values()) > 30


def test_a_run_goes_on_whatever_its_tools_do(server: Any, openai_url: str) -> None:
    acts = iter([_raising(SilentForGood()), _raising(KeyboardInterrupt()), lambda: "\ud83d", _cancelled, _circle])
    lock = threading.Lock()

    def act() -> Any:
        """Do something."""
        with lock:
            own = next(acts)
        return own()

    call = {"id": "1", "type": "function", "function": {"name": "act", "arguments": ""}}
    server.script(*[{"message": {"role": "assistant", "tool_calls": [call]}}] * 5)
    samples = [QA(id=f"q{i}", body="do it", ideal_answers=["x"]) for i in range(5)]
    result = run_samples(
        samples,
        OpenAIFunctionCallingProvider([act]),
        model="function-calling-gpt-4o",
        max_concurrency=5,
        progress=False,
    )
    assert len(result.sample_results) == 5 and not result.errors


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
