"""What our optimizers share: torch's optimizer without Dynamo.

torch.optim's own classes import torch._dynamo when they are made and at each step, which costs every start of a run a second.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class UntracedOptimizer(torch.optim.Optimizer):
    """torch.optim.Optimizer without its guards against being traced by Dynamo: these optimizers are never compiled.

    Where `found_inf` is set to a tensor that is not 0, a step changes nothing: a bad gradient is skipped without asking the
    device.
    """

    found_inf: Tensor | None = None

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """torch's own, see there."""
        untraced(torch.optim.Optimizer.add_param_group)(self, param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """torch's own, see there."""
        untraced(torch.optim.Optimizer.zero_grad)(self, set_to_none)


def untraced(method: Callable[..., Any]) -> Callable[..., Any]:
    """What `torch._disable_dynamo` wrapped, if it did."""
    inner: Callable[..., Any] = getattr(method, "__wrapped__", method)
    return inner
