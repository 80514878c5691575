"""AdamW (Loshchilov & Hutter 2019) by torch's fused kernel, and what it shares with Muon: a start without Dynamo.

torch.optim's own classes import torch._dynamo when they are made and at each step, which costs every start of a run a second.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


class Optimizer(torch.optim.Optimizer):
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


class AdamW(Optimizer):
    """torch.optim.AdamW(fused=True), bit for bit: all parameters of a group in one kernel.

    m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,  p ← p - lr (weight_decay p + m̂ / (√v̂ + ε)), with m̂ and v̂ freed from
    their start at 0. The state is torch's, too: "step" (a tensor), "exp_avg" and "exp_avg_sq".
    """

    def __init__(
        self,
        parameters: Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
    ) -> None:
        # "fused" is read when a state dict is loaded: the step count then stays on the parameter's device.
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "fused": True}
        super().__init__(parameters, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if not parameters:
                continue
            states = [self.moments(p) for p in parameters]
            steps = [state["step"] for state in states]
            torch._foreach_add_(steps, 1)
            torch._fused_adamw_(
                parameters,
                [p.grad for p in parameters],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                steps,
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
                found_inf=self.found_inf,
            )
            if self.found_inf is not None:
                torch._foreach_sub_(steps, [self.found_inf] * len(steps))
        return loss

    def moments(self, parameter: Float[Tensor, "*d"]) -> dict[str, Tensor]:
        """A parameter's state, made at its first step."""
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return state
