"""Benchmark work and goals of ops, used by each op's declarations."""

import contextlib
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Report = dict[str, Any]
"""The content of the report by `benchmarks.gpu_report`."""
Row = dict[str, Any]
"""The result of one contender on one piece of work."""


@dataclass(frozen=True)
class Work:
    """One op at one shape. FLOPs and bytes are lower bounds: every tensor is moved once."""

    op: str
    shape: str
    forward_flops: float
    backward_flops: float
    forward_bytes: float
    backward_bytes: float
    make: Callable[[str, torch.dtype], dict[str, Any]] = field(compare=False, repr=False)
    """Random arguments of the op on a device (zeros would run faster), with activations in a dtype."""

    def inputs(self, device: str, dtype: torch.dtype) -> dict[str, Any]:
        """Random arguments of the op, with the differentiable ones as leaf tensors."""
        return {
            n: x.requires_grad_() if isinstance(x, Tensor) and x.is_floating_point() else x
            for n, x in self.make(device, dtype).items()
        }


@dataclass(frozen=True)
class Deterministic:
    """A contender whose forward and backward run under torch.use_deterministic_algorithms(True). Some raise."""

    function: Callable[..., Any]

    def __call__(self, **arguments: Any) -> Any:
        with deterministic():
            return self.function(**arguments)


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    """Context of deterministic mode, without filling new tensors with NaN, which costs a pass over memory."""
    settings: Any = torch.utils.deterministic  # the attribute is created at import, unknown to type checkers
    filled = settings.fill_uninitialized_memory
    before = torch.are_deterministic_algorithms_enabled()
    settings.fill_uninitialized_memory = False
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        settings.fill_uninitialized_memory = filled


def liger(name: str, device: str) -> Callable[..., Any] | None:
    """A function of liger_kernel.ops, imported at its first call; None if Liger is not installed or cannot run."""
    if device != "cuda" or importlib.util.find_spec("liger_kernel") is None:
        return None
    module, _, function = name.partition(".")
    return lambda *arguments: getattr(importlib.import_module(f"liger_kernel.ops.{module}"), function).apply(*arguments)


@dataclass(frozen=True)
class Goal:
    """A goal: `measured` extracts the figure from a report, None if it is missing."""

    what: str
    wanted: float
    unit: str
    measured: Callable[[Report], float | None]
    at_most: bool = False

    def verdict(self, value: float) -> str:
        """ "reached" or "missed"."""
        return "reached" if (value <= self.wanted if self.at_most else value >= self.wanted) else "missed"


def rows_of(report: Report, work: Work) -> dict[str, Row]:
    """Rows of the contenders that ran, by name."""
    return {
        row["contender"]: row
        for row in report["times"]
        if (row["op"], row["shape"]) == (work.op, work.shape) and "error" not in row
    }


def value_of(work: Work, figure: str) -> Callable[[Report], float | None]:
    """A figure of our kernel."""

    def measured(report: Report) -> float | None:
        ours = rows_of(report, work).get("triton")
        return None if ours is None else float(ours[figure])

    return measured


def times_best(work: Work, figure: Callable[[Row], float], only: str = "") -> Callable[[Report], float | None]:
    """Our rate ÷ the best other rate (of names that end with `only`); above 1 is better."""

    def measured(report: Report) -> float | None:
        rows = rows_of(report, work)
        outside = [figure(row) for name, row in rows.items() if name.startswith("outside") and name.endswith(only)]
        return figure(rows["triton"]) / max(outside) if "triton" in rows and outside else None

    return measured


def both_ways(row: Row) -> float:
    """Forward + backward passes per second."""
    return 1 / float(row["both"]["median"])


def part_of_copy(work: Work) -> Callable[[Report], float | None]:
    """Bandwidth of forward + backward, as a fraction of the GPU's copy bandwidth."""
    ours = value_of(work, "TB/s")

    def measured(report: Report) -> float | None:
        reached = ours(report)
        return None if reached is None or "ceilings" not in report else reached / float(report["ceilings"]["TB/s"])

    return measured


def part_of_memory(work: Work, other: str) -> Callable[[Report], float | None]:
    """Our kernel's peak memory ÷ another's."""

    def measured(report: Report) -> float | None:
        rows = rows_of(report, work)
        ours, theirs = (rows.get(name, {}).get("peak memory, bytes") for name in ("triton", other))
        return None if ours is None or theirs is None else float(ours) / float(theirs)

    return measured
