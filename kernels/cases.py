"""Parity cases: the arguments with which every backend of an op is tested, and the scale of intermediate values."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor


@dataclass(frozen=True)
class Case:
    """One parity case: `make(generator, dtype)` gives the op's arguments by name, on the CPU.

    `grad` is the memory layout of the outputs' gradients: "dense", "expanded" (stride 0, as from ``.sum()``), "strided" (as
    from ``[..., ::2]``), "transposed" or "sliced" (as from ``cat``). A `large` case is skipped under the interpreter, which
    takes milliseconds per instruction. `layout` names the argument that is not contiguous, and its layout. A `compiled`
    case is one of the few that are also run with torch.compile, which takes seconds.
    """

    name: str
    make: Callable[[torch.Generator, torch.dtype], dict[str, Any]]
    grad: str = "dense"
    large: bool = False
    layout: str | None = None
    compiled: bool = False


@dataclass(frozen=True)
class SumScale:
    """The scale of a sum over rows, whose terms may be rounded to the activations' dtype, but whose accumulator may not.

    Attributes:
        terms: Σ |term| of the largest element: proportional to the rounding error of an fp32 accumulator.
        rounding: √Σ term² of the largest element: proportional to the error of terms that are rounded individually.
    """

    terms: float
    rounding: float


Scale = Mapping[str, float | SumScale]


def sum_scale(terms: Float[Tensor, "rows *s"]) -> SumScale:  # noqa: F821
    """The scale of Σ terms over the first dimension."""
    if terms.numel() == 0:
        return SumScale(0.0, 0.0)
    return SumScale(float(terms.abs().sum(0).max()), float(terms.square().sum(0).max().sqrt()))


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "strided": lambda x: torch.stack([x, torch.full_like(x, 3)], dim=-1)[..., 0],
    "expanded": lambda x: x[..., :1].expand(x.shape),
    "transposed": lambda x: x.mT.contiguous().mT,
}
"""Memory layouts of an argument: strided elements, expanded rows, transposed."""


def in_other_layouts(cases: Iterable[Case]) -> Iterator[Case]:
    """One case per tensor argument and layout, which finds kernels that assume a dense layout.

    Each is made of the first case that is not large and has the argument with more than one element in each dimension.
    """
    seen: set[str] = set()
    for case in cases:
        if case.large:
            continue
        for name, value in case.make(torch.Generator().manual_seed(0), torch.float32).items():
            if isinstance(value, Tensor) and name not in seen and all(size > 1 for size in value.shape):
                seen.add(name)
                for layout in LAYOUTS if value.ndim > 1 else ("strided", "expanded"):
                    make = partial(_laid_out, case, name, layout)
                    described = f"{layout} {name}"
                    yield replace(
                        case, name=f"{case.name}-{layout}-{name}", make=make, layout=described, compiled=False
                    )


def _laid_out(
    case: Case, name: str, layout: str, generator: torch.Generator, dtype: torch.dtype
) -> dict[str, Shaped[Tensor, "..."] | Any]:
    arguments = case.make(generator, dtype)
    return {**arguments, name: LAYOUTS[layout](arguments[name])}
