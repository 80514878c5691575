"""The part of gpu_report that measures: the card's own ceilings, then every contender on every piece of work."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from gpt_from_scratch.benchmarks.common.clock import Clock
from gpt_from_scratch.benchmarks.common.timing import interleaved
from gpt_from_scratch.benchmarks.gpu.kernel_work import (
    Work,
    contenders,
    forward_and_backward,
    like_outputs,
    on_gpu,
    small,
)

LONGEST = 20.0
"""Seconds that a piece of work may take: torch.compile, and eager ones that are slow."""
REFUSALS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ImportError,
    AssertionError,
)
"""Errors of other libraries for an unsupported shape, mode or machine; they become a line of the report."""


def ceilings(device: str, clock: Clock, tiny: bool) -> dict[str, float]:
    """Peak rates of this GPU: a bf16 product of 8192³ and a copy of 1 GiB, in TFLOP/s and TB/s (read + write)."""
    size, count, dtype = (256, 2**20, torch.float32) if tiny else (8192, 2**30, torch.bfloat16)
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    source = torch.randint(256, (count,), device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    times = interleaved({"product": lambda: a @ b, "copy": lambda: target.copy_(source)}, 20, device, seconds=5.0)
    return {
        "TFLOP/s": 2.0 * size**3 / times["product"]["median"] / 1e12,
        "TB/s": 2.0 * count / times["copy"]["median"] / 1e12,
    }


def times(device: str, clock: Clock, tiny: bool) -> list[dict[str, Any]]:
    """Seconds of every contender, forward and forward + backward, interleaved; what cannot run says why."""
    rows: list[dict[str, Any]] = []
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    for work in small() if device == "cpu" else on_gpu():
        if clock.over(f"times: {work.op} {work.shape}", 0.0 if tiny else LONGEST):
            continue
        # Past eight shapes torch.compile refuses, and from the second on it would compile for any shape.
        torch._dynamo.reset()
        functions = contenders(work, device, dtype)
        # Eager attention at 16k tokens holds 12 GB of scores; inductor competes as an outside one.
        left_out = ("reference", "compiled") if device == "cuda" or tiny else ()
        rows += compared(work, {n: f for n, f in functions.items() if n not in left_out}, device, dtype, tiny)
    return rows


def compared(
    work: Work, functions: dict[str, Callable[..., Any]], device: str, dtype: torch.dtype, tiny: bool
) -> Iterator[dict[str, Any]]:
    """One row a contender: its figures, or the error with which it refused."""
    inputs, usable = work.inputs(device, dtype), {}
    for name, function in functions.items():
        try:
            usable[name] = (function, like_outputs(function, inputs))
            forward_and_backward(function, inputs, usable[name][1])
        except refusals() as error:
            usable.pop(name, None)
            yield {"op": work.op, "shape": work.shape, "contender": name, "error": str(error)[:300]}
    yield from measure(work, usable, inputs, device, tiny)


def refusals() -> tuple[type[Exception], ...]:
    """REFUSALS, and triton's own where it is installed."""
    try:
        from triton.errors import TritonError
    except ImportError:
        return REFUSALS
    return (*REFUSALS, TritonError)


def measure(
    work: Work, usable: dict[str, Any], inputs: dict[str, Any], device: str, tiny: bool
) -> Iterator[dict[str, Any]]:
    """One row a contender that works."""

    def forward(function: Callable[..., Any]) -> None:
        with torch.no_grad():
            function(**inputs)

    rounds, seconds = (5, 5.0) if tiny else (20, 3.0)
    one_way = interleaved({n: lambda f=f: forward(f) for n, (f, _) in usable.items()}, rounds, device, seconds=seconds)
    both = interleaved(
        {n: lambda f=f, up=up: forward_and_backward(f, inputs, up) for n, (f, up) in usable.items()},
        rounds,
        device,
        seconds=seconds,
    )
    for name in usable:
        backward = max(both[name]["median"] - one_way[name]["median"], 1e-9)
        yield {
            "op": work.op,
            "shape": work.shape,
            "contender": name,
            "forward": one_way[name],
            "both": both[name],
            "forward TFLOP/s": work.forward_flops / one_way[name]["median"] / 1e12,
            "backward TFLOP/s": work.backward_flops / backward / 1e12,
            "TB/s": (work.forward_bytes + work.backward_bytes) / both[name]["median"] / 1e12,
            "peak memory, bytes": peak(usable[name], inputs, device),
        }


def peak(contender: tuple[Callable[..., Any], Any], inputs: dict[str, Any], device: str) -> int | None:
    """Bytes allocated at the peak of forward + backward beyond the inputs; None on a CPU."""
    if device != "cuda":
        return None
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    forward_and_backward(contender[0], inputs, contender[1])
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before
