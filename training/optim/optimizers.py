"""The optimizers of a run: assignment of parameters, and their state in a checkpoint."""

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
"""The optimizer for parameters that the chosen one does not take."""


def make_optimizers(model: nn.Module, config: OptimizerConfig, ranks: Ranks = ONE_RANK) -> list[torch.optim.Optimizer]:
    """Make AdamW for the remaining parameters, then the chosen optimizer. Each parameter is in exactly one group.

    Each group has its peak learning rate as "peak_lr", which the schedule multiplies, and its parameters' names as "names".
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
    """The optimizer of a parameter."""
    chosen = ALGORITHMS[config.name]
    return chosen if chosen.takes(name, parameter) else REST


def state_values(model: nn.Module, config: OptimizerConfig) -> int:
    """Number of elements in the optimizers' state, without scalar counters."""
    return sum(
        math.prod(shape)
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
        for shape in algorithm_of(name, parameter, config).state_shapes(tuple(parameter.shape)).values()
        if shape
    )


def leading_group(optimizers: Sequence[torch.optim.Optimizer]) -> tuple[str, dict[str, Any]]:
    """The group whose learning rate is logged, and the name of its optimizer.

    It is the largest of the chosen optimizer's groups inside the blocks, or of all its groups if none is there.
    """

    def weight(group: dict[str, Any]) -> tuple[bool, int]:
        inside = all(map(is_hidden_matrix, group["names"], group["params"]))
        return inside, sum(parameter.numel() for parameter in group["params"])

    chosen = optimizers[-1]
    return type(chosen).__name__, max(chosen.param_groups, key=weight)


def optimizer_tensors(optimizers: Iterable[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """The state as named tensors for a checkpoint, such as "exp_avg.h.0.attn.c_attn.weight"."""
    tensors = {}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for name, parameter in zip(group["names"], group["params"], strict=True):
                for key, value in optimizer.state[parameter].items():
                    tensors[f"{key}.{name}"] = value
    return tensors


def load_optimizer_tensors(optimizers: Iterable[torch.optim.Optimizer], tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`; an empty dict is the state before the first step.

    Raises:
        ValueError: names or shapes do not match the optimizers' parameters.
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
    """Remove a parameter's state from the remaining tensors, and return it."""
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
