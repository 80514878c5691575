"""The interface of an optimizer: a subclass of `Algorithm` in a file of `algorithms/`.

Help texts, config choices, parameter groups, checkpoints and the memory estimate are made from its declarations.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gpt_from_scratch.training.optim.settings import OptimizerSettings
from gpt_from_scratch.training.optim.sharded import local
from gpt_from_scratch.training.ranks.process_group import ONE_RANK, Ranks

Shape = tuple[int, ...]
Named = Sequence[tuple[str, nn.Parameter]]
"""Parameters with their names in the model."""


class Member(NamedTuple):
    """A parameter to update, with this rank's part of its tensors."""

    shape: Shape
    """Shape of the whole parameter."""
    value: Float[Tensor, "..."]
    gradient: Float[Tensor, "..."]
    state: dict[str, Tensor]


class Algorithm(torch.optim.Optimizer):
    """Base class of the optimizers. A subclass defines its state in `state_shapes` and its step in `update`.

    If `found_inf` is set to a nonzero tensor, a step changes nothing, so a bad gradient is skipped without synchronizing
    with the device. torch's guards against Dynamo are removed, since they cost a second at every start and these optimizers
    are never compiled.
    """

    options: ClassVar[type[OptimizerSettings]] = OptimizerSettings
    """Its settings: the common ones, or a subclass with more, each with a default and a docstring."""
    skips: ClassVar[bool] = False
    """Whether `update` handles `found_inf` itself; otherwise a step that should be skipped is reverted."""

    found_inf: Tensor | None = None

    @classmethod
    def takes(cls, name: str, parameter: Float[Tensor, "..."]) -> bool:
        """Whether it updates this parameter of a model; AdamW updates the others."""
        return True

    @classmethod
    def state_shapes(cls, shape: Shape) -> dict[str, Shape]:
        """Shapes of the state tensors for a parameter of this shape, by their names in a checkpoint."""
        raise NotImplementedError(f"{cls.__name__} does not say what it remembers")

    @classmethod
    def defaults_of(cls, settings: Any) -> dict[str, Any]:
        """Group values from the settings (an instance of `options`), besides learning rate and weight decay."""
        return {}

    @classmethod
    def make(cls, named: Named, settings: Any, model: nn.Module, ranks: Ranks = ONE_RANK) -> "Algorithm":
        """Make the optimizer for some parameters of a model, with separate groups for embeddings and vectors.

        Args:
            settings: an instance of `options`.
            ranks: the ranks that step together with the same gradients; they may share the work.
        """
        return cls(groups_of(named, settings), cls.defaults_of(settings))

    def update(self, group: dict[str, Any], members: Sequence[Member]) -> None:
        """Update the values and states of a group's members in place."""
        raise NotImplementedError(f"{type(self).__name__} does not say what a step does")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            members = [
                Member(tuple(p.shape), local(p), local(p.grad), {k: local(v) for k, v in self.state_of(p).items()})
                for p in group["params"]
                if p.grad is not None
            ]
            if not members:
                continue
            if self.found_inf is None or self.skips:
                self.update(group, members)
            else:
                self._update_or_not(group, members, self.found_inf)
        return loss

    def _update_or_not(self, group: dict[str, Any], members: Sequence[Member], found_inf: Float[Tensor, ""]) -> None:
        changed = [tensor for member in members for tensor in (member.value, *member.state.values())]
        before = [tensor.clone() for tensor in changed]
        self.update(group, members)
        for tensor, old in zip(changed, before, strict=True):
            tensor.copy_(torch.where(found_inf == 0, tensor, old))

    def state_of(self, parameter: Float[Tensor, "..."]) -> dict[str, Tensor]:
        """State of a parameter; zeros before its first step."""
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            shape = tuple(parameter.shape)
            for name, wanted in self.state_shapes(shape).items():
                state[name] = (
                    torch.zeros_like(parameter, memory_format=torch.preserve_format)
                    if wanted == shape
                    else torch.zeros(wanted, dtype=torch.float32, device=parameter.device)
                )
        return state

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """torch's own, see there."""
        untraced(torch.optim.Optimizer.add_param_group)(self, param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """torch's own, see there."""
        untraced(torch.optim.Optimizer.zero_grad)(self, set_to_none)


def untraced(method: Callable[..., Any]) -> Callable[..., Any]:
    """The function that `torch._disable_dynamo` wrapped, if it did."""
    inner: Callable[..., Any] = getattr(method, "__wrapped__", method)
    return inner


def groups_of(named: Named, settings: OptimizerSettings) -> list[dict[str, Any]]:
    """Parameter groups: embeddings and an untied head, matrices, and vectors, which have no weight decay."""
    embedding = [(name, p) for name, p in named if p.ndim >= 2 and not name.startswith("h.")]
    matrices = [(name, p) for name, p in named if p.ndim >= 2 and name.startswith("h.")]
    vectors = [(name, p) for name, p in named if p.ndim < 2]
    return [
        {**group_of(members), "lr": lr, "weight_decay": decay}
        for members, lr, decay in (
            (embedding, settings.embed_lr or settings.lr, settings.weight_decay),
            (matrices, settings.lr, settings.weight_decay),
            (vectors, settings.lr, 0.0),
        )
        if members
    ]


def group_of(members: Named) -> dict[str, Any]:
    """A parameter group for torch's optimizer, with the parameters' names."""
    return {"params": [p for _, p in members], "names": [name for name, _ in members]}


def is_hidden_matrix(name: str, parameter: Float[Tensor, "..."]) -> bool:
    """Whether it is a matrix inside a block; those of an adaptation, which are but factors of one, are not."""
    return parameter.ndim == 2 and name.startswith("h.") and ".lora_" not in name
