"""The refusal of second derivatives by backward passes that autograd cannot look into.

`torch.autograd.function.once_differentiable` is meant for this, but raises only under ``.backward()`` and where the incoming
gradient has a graph. Under ``torch.autograd.grad``, or after ``.sum()``, second derivatives silently lack a part (torch 2.13).
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Backward = Callable[..., tuple[Tensor | None, ...] | Tensor | None]


def first_derivatives_only(backward: Backward) -> Backward:
    """Make an autograd.Function's backward raise RuntimeError where what it returned is differentiated.

    The function must save for its backward a tensor that carries the graph of each input: the input itself, or an output.
    """

    @functools.wraps(backward)
    def refusing(ctx: Any, *grads: Tensor | None) -> Any:
        if (
            torch.compiler.is_compiling() or not torch.is_grad_enabled()
        ):  # the latter: a graph of this pass was not asked for
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
    """Its tensors as they are; to differentiate one by another raises."""

    @staticmethod
    def forward(ctx: Any, name: str, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.name = name.removesuffix("Backward").lstrip("_")
        return tuple(x.detach() for x in tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> None:
        raise RuntimeError(
            f"{ctx.name} has first derivatives only: its backward pass has no derivative. "
            "For second ones choose an op's backend 'reference'."
        )
