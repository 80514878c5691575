"""The optimizers of a run: which parameter goes to which, and their state as a checkpoint holds it."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gpt_from_scratch.support.registry_folder import classes_in
from gpt_from_scratch.training.optim import algorithms
from gpt_from_scratch.training.optim.algorithm import Algorithm, is_hidden_matrix
from gpt_from_scratch.training.optim.algorithms.adamw import AdamW
from gpt_from_scratch.training.optim.config import OptimizerConfig
from gpt_from_scratch.training.optim.sharded import placed_like
from gpt_from_scratch.training.ranks.process_group import ONE_RANK, Ranks

ALGORITHMS = classes_in(algorithms, Algorithm)
"""The optimizers by their names."""
REST: type[Algorithm] = AdamW
"""What takes the parameters that the chosen optimizer does not take."""


def make_optimizers(model: nn.Module, config: OptimizerConfig, ranks: Ranks = ONE_RANK) -> list[torch.optim.Optimizer]:
    """The chosen optimizer, behind AdamW for what it does not take; every parameter in exactly one group, in the model's order.

    Each group carries its peak rate as "peak_lr" (a schedule multiplies it) and its parameters' names as "names".
    All `ranks` step together, and may share the work.
    """
    shares: dict[type[Algorithm], list[tuple[str, nn.Parameter]]] = {REST: [], ALGORITHMS[config.name]: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            shares[algorithm_of(name, parameter, config)].append((name, parameter))
    optimizers: list[torch.optim.Optimizer] = [
        kind.make(named, config, model, ranks) for kind, named in shares.items() if named
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def algorithm_of(name: str, parameter: Tensor, config: OptimizerConfig) -> type[Algorithm]:
    """What updates a parameter."""
    chosen = ALGORITHMS[config.name]
    return chosen if chosen.takes(name, parameter) else REST


def state_values(model: nn.Module, config: OptimizerConfig) -> int:
    """How many numbers the optimizers remember, counters of one number aside."""
    return sum(
        math.prod(shape)
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        for shape in algorithm_of(name, parameter, config).state_shapes(tuple(parameter.shape)).values()
        if shape
    )


def leading_group(optimizers: Sequence[torch.optim.Optimizer]) -> tuple[str, dict[str, Any]]:
    """The group that moves the model most, whose rate a log gives, and the name of its optimizer.

    Of the chosen optimizer's groups that is the largest one inside the blocks, or of all, if none is there.
    """

    def weight(group: dict[str, Any]) -> tuple[bool, int]:
        inside = all(map(is_hidden_matrix, group["names"], group["params"]))
        return inside, sum(parameter.numel() for parameter in group["params"])

    chosen = optimizers[-1]
    return type(chosen).__name__, max(chosen.param_groups, key=weight)


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
        for group in optimizer.param_groups:
            for name, parameter in zip(group["names"], group["params"], strict=True):
                optimizer.state[parameter] = _state_from(left, type(optimizer), name, parameter)
    if left:
        raise ValueError(f"the checkpoint has optimizer state for unknown parameters, e.g. {min(left)}")


def _state_from(left: dict[str, Tensor], kind: type[Any], name: str, parameter: nn.Parameter) -> dict[str, Tensor]:
    """The state of a parameter, taken out of the tensors that are left."""
    whole, state = tuple(parameter.shape), {}
    for key, shape in kind.state_shapes(whole).items():
        value = left.pop(f"{key}.{name}", None)
        if value is None or tuple(value.shape) != shape:
            found = "nothing" if value is None else f"shape {tuple(value.shape)}"
            raise ValueError(
                f"the optimizer's state {key}.{name} should have shape {shape}, found {found}: "
                "the checkpoint belongs to another model or optimizer"
            )
        state[key] = placed_like(parameter, value) if shape == whole else value.to(parameter.device, copy=True)
    return state
