"""AdamW (Loshchilov & Hutter 2019) by torch's fused kernel."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from gpt_from_scratch.training.optim.algorithm import Algorithm, Member, Named, Shape, groups_of
from gpt_from_scratch.training.ranks.process_group import ONE_RANK, Ranks


class AdamW(Algorithm):
    """AdamW for all parameters.

    torch.optim.AdamW(fused=True), bit for bit: all parameters of a group in one kernel.
    m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,  p ← p - lr (weight_decay p + m̂ / (√v̂ + ε)), with the bias-corrected
    m̂ and v̂. The state is the same as torch's: "step" (a tensor), "exp_avg" and "exp_avg_sq".
    """

    skips: ClassVar[bool] = True

    def __init__(
        self,
        parameters: Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
    ) -> None:
        """
        Args:
            parameters: groups with "params", and the settings that differ in the group.
        """
        # "fused" is read when a state dict is loaded; it keeps the step count on the parameter's device.
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "fused": True}
        super().__init__(parameters, defaults)

    @classmethod
    def state_shapes(cls, shape: Shape) -> dict[str, Shape]:
        return {"step": (), "exp_avg": shape, "exp_avg_sq": shape}

    @classmethod
    def make(cls, named: Named, settings: Any, model: nn.Module, ranks: Ranks = ONE_RANK) -> Algorithm:
        return cls(groups_of(named, settings), settings.lr, settings.betas, settings.eps, settings.weight_decay)

    def update(self, group: dict[str, Any], members: Sequence[Member]) -> None:
        steps = [member.state["step"] for member in members]
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            [member.value for member in members],
            [member.gradient for member in members],
            [member.state["exp_avg"] for member in members],
            [member.state["exp_avg_sq"] for member in members],
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
