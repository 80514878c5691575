"""Errors for second derivatives of backward passes that autograd cannot differentiate.

`torch.autograd.function.once_differentiable` is meant for this, but raises only under ``.backward()`` and if the incoming
gradient has a graph. Under ``torch.autograd.grad``, or after ``.sum()``, second derivatives are silently wrong (torch
2.13).
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Backward = Callable[..., tuple[Tensor | None, ...] | Tensor | None]


def first_derivatives_only(backward: Backward) -> Backward:
    """Make an autograd.Function raise RuntimeError when its backward pass is differentiated.

    The function must save a tensor with the graph of each input for backward: the input itself, or an output.
    """

    @functools.wraps(backward)
    def refusing(ctx: Any, *grads: Tensor | None) -> Any:
        if torch.compiler.is_compiling() or not torch.is_grad_enabled():  # no graph of this pass was requested
            return backward(ctx, *grads)
        known = [x for x in (*ctx.saved_tensors, *grads) if x is not None and x.requires_grad]
        with torch.no_grad():
            found = backward(ctx, *grads)
        several = found if isinstance(found, tuple) else (found,)
        marked = iter(_refusing(type(ctx).__name__, *(x for x in several if x is not None), *known))
        several = tuple(None if x is None else next(marked) for x in several)
        return several if isinstance(found, tuple) else several[0]

    return refusing


def _refusing(name: str, *tensors: Tensor) -> tuple[Tensor, ...]:
    marked: tuple[Tensor, ...] = _Refusal.apply(name, *tensors)  # type: ignore[no-untyped-call]
    return marked


class _Refusal(torch.autograd.Function):
    """Identity function whose derivative raises."""

    @staticmethod
    def forward(ctx: Any, name: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.name = name.removesuffix("Backward").lstrip("_")
        return tuple(x.detach() for x in tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> None:
        raise RuntimeError(
            f"{ctx.name} supports only first derivatives. For second derivatives use the op's backend 'reference'."
        )
