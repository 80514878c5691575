"""AdamW and Muon, and which parameter goes to which.

Muon takes the hidden matrices; embeddings, the head, norms and biases go to AdamW. Weight decay is decoupled, and only
matrices have it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gpt_from_scratch.models.gpt import MLP
from gpt_from_scratch.support.command_line.settings import OrNever, check_settings
from gpt_from_scratch.training.optim.adamw import AdamW
from gpt_from_scratch.training.optim.muon import Muon, is_sharded
from gpt_from_scratch.training.ranks.process_group import ONE_RANK, Ranks


@dataclass(frozen=True)
class OptimizerConfig:
    """How parameters are updated."""

    name: Literal["muon", "adamw"] = "adamw"
    """"muon": Muon for the hidden matrices and AdamW for the rest; "adamw": AdamW for all."""
    lr: float = 6e-4
    """AdamW's peak learning rate."""
    embed_lr: float | None = None
    """AdamW's peak learning rate for embeddings and an untied head; default: lr. Beside Muon they want far more."""
    muon_lr: float = 0.02
    """Muon's peak learning rate, for an update of root mean square about √(1/n_in)."""
    betas: tuple[float, float] = (0.9, 0.95)
    """AdamW's decay rates of the first and second moment."""
    eps: float = 1e-8
    """AdamW's guard against division by zero."""
    weight_decay: float = 0.1
    """Decoupled weight decay of matrices (AdamW's and Muon's), relative to the learning rate."""
    momentum: float = 0.95
    """Muon's momentum (Nesterov)."""
    grad_clip: OrNever = 1.0
    """Largest norm of the whole gradient; a longer one is scaled down to it. 0 or inf: no clipping."""

    def __post_init__(self) -> None:
        check_settings(self, "optimizer.")
        for name in ("lr", "muon_lr", "eps"):
            if not getattr(self, name) > 0:
                raise ValueError(f"optimizer.{name} must be above 0, it is {getattr(self, name)}")
        if self.embed_lr is not None and not self.embed_lr > 0:
            raise ValueError(f"optimizer.embed_lr must be above 0, it is {self.embed_lr}")
        for name in ("weight_decay", "grad_clip"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"optimizer.{name} must be 0 or more, it is {getattr(self, name)}")
        for name, value in (("betas", self.betas[0]), ("betas", self.betas[1]), ("momentum", self.momentum)):
            if not 0 <= value < 1:
                raise ValueError(f"optimizer.{name} must lie in [0, 1), it is {getattr(self, name)}")


def make_optimizers(model: nn.Module, config: OptimizerConfig, ranks: Ranks = ONE_RANK) -> list[torch.optim.Optimizer]:
    """AdamW for all, or for what Muon does not take; every parameter in exactly one group, in the model's order.

    Each group carries its peak rate as "peak_lr" (a schedule multiplies it) and its parameters' names as "names".
    Among several `ranks`, all of which step together, Muon's work is shared.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    hidden = [(name, p) for name, p in named if config.name == "muon" and is_hidden_matrix(name, p)]
    taken = {name for name, _ in hidden}
    rest = [(name, p) for name, p in named if name not in taken]
    embedding = [(name, p) for name, p in rest if p.ndim >= 2 and not name.startswith("h.")]
    matrices = [(name, p) for name, p in rest if p.ndim >= 2 and name.startswith("h.")]
    vectors = [(name, p) for name, p in rest if p.ndim < 2]
    groups = [
        {"params": [p for _, p in members], "names": [name for name, _ in members], "lr": lr, "weight_decay": decay}
        for members, lr, decay in (
            (embedding, config.embed_lr or config.lr, config.weight_decay),
            (matrices, config.lr, config.weight_decay),
            (vectors, config.lr, 0.0),
        )
        if members
    ]
    optimizers: list[torch.optim.Optimizer] = []
    if groups:
        optimizers.append(AdamW(groups, config.lr, config.betas, config.eps, config.weight_decay))
    if hidden:
        group = {
            "params": [p for _, p in hidden],
            "names": [name for name, _ in hidden],
            "parts": [packed_parts(name, p, model) for name, p in hidden],
        }
        optimizers.append(Muon([group], config.muon_lr, config.momentum, config.weight_decay, ranks))
    for optimizer in optimizers:
        for made in optimizer.param_groups:
            made["peak_lr"] = made["lr"]
    return optimizers


def leading_group(optimizers: Iterable[torch.optim.Optimizer]) -> tuple[str, dict[str, Any]]:
    """The group that moves the model most, whose rate a log gives, and the name of its optimizer.

    That is Muon's where Muon is used, else AdamW's largest group of matrices inside the blocks (of any, if there is none).
    """

    def weight(found: tuple[str, dict[str, Any]]) -> tuple[bool, bool, int]:
        name, group = found
        inside = all(map(is_hidden_matrix, group["names"], group["params"]))
        return name == "Muon", inside, sum(parameter.numel() for parameter in group["params"])

    return max(
        ((type(optimizer).__name__, group) for optimizer in optimizers for group in optimizer.param_groups), key=weight
    )


def is_hidden_matrix(name: str, parameter: Float[Tensor, "..."]) -> bool:
    """Whether Muon takes it: a matrix inside a block."""
    return parameter.ndim == 2 and name.startswith("h.")


def packed_parts(name: str, weight: Float[Tensor, "rows columns"], model: nn.Module) -> int:
    """How many matrices of one height a weight packs.

    Queries, keys and values are three, but where grouped queries make their heights differ; the MLP's gate and what passes
    through it are two.
    """
    if name.endswith("c_attn.weight"):
        return 3 if weight.shape[0] == 3 * weight.shape[1] else 1
    owner = model.get_submodule(name.rsplit(".", 2)[0])
    return 2 if name.endswith("c_fc.weight") and isinstance(owner, MLP) and owner.activation == "swiglu" else 1


def optimizer_tensors(optimizers: Iterable[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """The whole state as named tensors, "exp_avg.h.0.attn.c_attn.weight"; what a checkpoint stores."""
    tensors = {}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for name, parameter in zip(group["names"], group["params"], strict=True):
                for key, value in optimizer.state[parameter].items():
                    tensors[f"{key}.{name}"] = value
    return tensors


def load_optimizer_tensors(optimizers: Iterable[torch.optim.Optimizer], tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`; nothing at all is the state before the first step.

    Raises:
        ValueError: names or shapes that do not fit the optimizers' parameters.
    """
    if not tensors:
        return
    left = dict(tensors)
    for optimizer in optimizers:
        keys = ("momentum",) if isinstance(optimizer, Muon) else ("step", "exp_avg", "exp_avg_sq")
        for group in optimizer.param_groups:
            for name, parameter in zip(group["names"], group["params"], strict=True):
                for key in keys:
                    value = left.pop(f"{key}.{name}", None)
                    if value is None or (key != "step" and value.shape != parameter.shape):
                        found = "nothing" if value is None else f"shape {tuple(value.shape)}"
                        raise ValueError(
                            f"the optimizer's state {key}.{name} should have shape {tuple(parameter.shape)}, found {found}: "
                            "the checkpoint belongs to another model or optimizer"
                        )
                    device = "cpu" if key == "step" and not group.get("fused") else parameter.device
                    optimizer.state[parameter][key] = (
                        value.to(device, copy=True) if key == "step" else placed_like(parameter, value)
                    )
    if left:
        raise ValueError(f"the checkpoint has optimizer state for unknown parameters, e.g. {min(left)}")


def placed_like(parameter: Float[Tensor, "*d"], value: Float[Tensor, "*d"]) -> Float[Tensor, "*d"]:
    """A copy of `value` where the parameter is, sharded if it is."""
    if not is_sharded(parameter):
        return value.to(parameter.device, copy=True)
    from gpt_from_scratch.training.checkpoints.parts import put

    target = torch.empty_like(parameter)
    put(target, value)
    return target
