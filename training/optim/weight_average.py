"""The moving average of a model's weights, which is often better than the weights of any one step."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gpt_from_scratch.training.optim.sharded import local, placed_like


class WeightAverage:
    """An exponential moving average of the weights (Polyak & Juditsky 1992): average ← d · average + (1 - d) · weights.

    The first steps count for less: d is at most (1 + step) / (10 + step). Sharded weights have sharded averages.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """
        Args:
            model: on its device, and sharded if it will be; its weights are the average's first value.
        """
        self.decay = decay
        self.parameters = dict(model.named_parameters())
        self.tensors = {name: p.detach().clone() for name, p in self.parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average with the weights after `step` (0 is the first)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        weights = [local(parameter.detach()) for parameter in self.parameters.values()]
        torch._foreach_lerp_([local(tensor) for tensor in self.tensors.values()], weights, 1 - decay)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Continue with the average of a checkpoint.

        Raises:
            ValueError: its names or shapes are not the model's.
        """
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        if shapes != {name: tuple(parameter.shape) for name, parameter in self.parameters.items()}:
            raise ValueError(
                f"the checkpoint's average of the weights has {len(shapes)} tensors, which are not those of this model: it "
                "belongs to another one"
            )
        self.tensors = {name: placed_like(p, tensors[name]).detach() for name, p in self.parameters.items()}
