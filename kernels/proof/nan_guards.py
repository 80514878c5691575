"""NaN guards: detection of out-of-bounds accesses by kernels, on the CPU under the interpreter or on a GPU.

Neither an interpreter nor a GPU stops an access that is a few elements out of bounds. So inputs are inside buffers of NaN,
which spreads to every result that uses it. Allocations are filled with NaN and surrounded by guard zones of NaN, which must
be NaN afterwards.
"""

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from gpt_from_scratch.kernels.cases import Case

ZONE = 4096  # elements before and after, more than any tile extends beyond its tensor


def surrounded(case: Case) -> Case:
    """The case with every tensor as a view into a larger buffer of NaN, or, for integers, of an invalid number."""

    def make(generator: torch.Generator, dtype: torch.dtype) -> dict[str, Any]:
        made = case.make(generator, dtype)
        return {name: inside_buffer(x) if isinstance(x, Tensor) else x for name, x in made.items()}

    return replace(case, make=make)


def inside_buffer(x: Tensor) -> Tensor:
    """x with its strides, at another place in a buffer that holds nothing usable elsewhere, between its elements included."""
    reach = sum((size - 1) * stride for size, stride in zip(x.shape, x.stride(), strict=True)) + 1 if x.numel() else 0
    nothing = float("nan") if x.is_floating_point() else 2**30
    buffer = torch.full((reach + 2 * ZONE,), nothing, dtype=x.dtype, device=x.device)
    inside = buffer.as_strided(x.shape, x.stride(), ZONE)
    own = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in x.stride())  # of an expanded dimension one
    inside[own].copy_(x[own])
    return inside


class GuardedAllocations(TorchDispatchMode):
    """Context in which new floating tensors and the zones around them are NaN; `check` raises if a zone was written to."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.buffers: list[tuple[Tensor, int]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Allocate with guards; run all other functions unchanged."""
        result = func(*args, **(kwargs or {}))
        if func not in ALLOCATIONS or not result.is_floating_point() or result.is_meta:
            return result
        elements = prod(result.shape)
        buffer = torch.full((elements + 2 * ZONE,), float("nan"), dtype=result.dtype, device=result.device)
        self.buffers.append((buffer, elements))
        return buffer.as_strided(result.shape, result.stride(), ZONE)

    def check(self) -> None:
        """Raise AssertionError if anything was stored outside an allocation."""
        for buffer, elements in self.buffers:
            untouched = buffer[:ZONE].isnan().all() & buffer[ZONE + elements :].isnan().all()
            assert untouched, f"a kernel stored outside its output of {elements} elements of {buffer.dtype}"


ALLOCATIONS: set[Callable[..., Any]] = {
    torch.ops.aten.empty.memory_format,
    torch.ops.aten.empty_like.default,
    torch.ops.aten.new_empty.default,
    torch.ops.aten.empty_strided.default,
    torch.ops.aten.new_empty_strided.default,
}
