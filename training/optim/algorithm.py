"""The interface of an optimizer: a subclass of `Algorithm` in a file of `algorithms/`, which knows all about itself.

Help, the choices of a config, groups, checkpoints and the estimate of a run's memory are made from what it declares.
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
    """A parameter that is updated: of the tensors what this rank has of them."""

    shape: Shape
    """Of the whole parameter."""
    value: Float[Tensor, "..."]
    gradient: Float[Tensor, "..."]
    state: dict[str, Tensor]


class Algorithm(torch.optim.Optimizer):
    """An optimizer. A subclass says in `state_shapes` what it remembers, and in `update` what a step does.

    Where `found_inf` is set to a tensor that is not 0, a step changes nothing: a bad gradient is skipped without asking the
    device. It is torch's optimizer without its guards against being traced by Dynamo, which cost every start a second: these
    optimizers are never compiled.
    """

    options: ClassVar[type[OptimizerSettings]] = OptimizerSettings
    """Its settings: those that all have, or a subclass with more, each with a default and a docstring."""
    skips: ClassVar[bool] = False
    """Whether `update` heeds `found_inf` itself; else a step that should be skipped is undone."""

    found_inf: Tensor | None = None

    @classmethod
    def takes(cls, name: str, parameter: Float[Tensor, "..."]) -> bool:
        """Whether it updates a parameter of a model; AdamW updates the others."""
        return True

    @classmethod
    def state_shapes(cls, shape: Shape) -> dict[str, Shape]:
        """The tensors that it remembers of a parameter of this shape, by the names that a checkpoint gives them."""
        raise NotImplementedError(f"{cls.__name__} does not say what it remembers")

    @classmethod
    def defaults_of(cls, settings: Any) -> dict[str, Any]:
        """What of the settings (an instance of `options`) a group holds, beside its rate and its weight decay."""
        return {}

    @classmethod
    def make(cls, named: Named, settings: Any, model: nn.Module, ranks: Ranks = ONE_RANK) -> "Algorithm":
        """The optimizer of some parameters of a model. Embeddings and vectors have groups of their own.

        Args:
            settings: an instance of `options`.
            ranks: those that step together, with the same gradients, and may share the work.
        """
        return cls(groups_of(named, settings), cls.defaults_of(settings))

    def update(self, group: dict[str, Any], members: Sequence[Member]) -> None:
        """Change the values and states of a group's members in place."""
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
        """A parameter's state, zeros before its first step."""
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
    """What `torch._disable_dynamo` wrapped, if it did."""
    inner: Callable[..., Any] = getattr(method, "__wrapped__", method)
    return inner


def groups_of(named: Named, settings: OptimizerSettings) -> list[dict[str, Any]]:
    """Groups of parameters by their rates: embeddings and an untied head, matrices, vectors, which do not decay."""
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
    """Parameters and their names, as torch's optimizer takes a group."""
    return {"params": [p for _, p in members], "names": [name for name, _ in members]}


def is_hidden_matrix(name: str, parameter: Float[Tensor, "..."]) -> bool:
    """Whether it is a matrix inside a block; those of an adaptation, which are but factors of one, are not."""
    return parameter.ndim == 2 and name.startswith("h.") and ".lora_" not in name
