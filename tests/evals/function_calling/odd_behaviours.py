"""Behaviours of a tool that nobody wrote on purpose: values that JSON lacks, and errors that do not even have a text."""

import asyncio
import collections
import dataclasses
import datetime
import itertools
import random
import sys
import types
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pydantic


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
