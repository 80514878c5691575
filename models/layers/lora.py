"""Low-rank adaptation (LoRA): a frozen linear layer, and a trained product of two thin matrices that is added to it."""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class LoRALinear(nn.Linear):
    """A frozen linear layer with its adaptation (Hu et al. 2021): x Wᵀ + b + (alpha / rank) · x Aᵀ Bᵀ.

    A, (rank, in), is initialized like nn.Linear's weights, and B, (out, rank), is zero, so the output is unchanged at first.
    The backward pass computes no gradient of the frozen matrix.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=False, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.scaling = alpha / rank
        self.lora_A = nn.Parameter(linear.weight.new_empty(rank, linear.in_features))
        self.lora_B = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))
        if not self.lora_A.is_meta:
            nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def reset_parameters(self) -> None:
        """Nothing: the weights are those of the layer that is adapted."""

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b out"]:
        """The layer's output plus its adaptation."""
        return super().forward(x) + F.linear(F.linear(x, self.lora_A), self.lora_B) * self.scaling


def add_lora(model: nn.Module, rank: int, alpha: float, targets: Sequence[str]) -> None:
    """Freeze a model, and adapt its linear layers whose names end with one of `targets` ("attn.c_attn").

    Raises:
        ValueError: the model has no such layer.
    """
    model.requires_grad_(False)
    found = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and any(f".{name}".endswith(f".{target}") for target in targets)
    ]
    if not found:
        raise ValueError(f"the model has no linear layer {' or '.join(targets)} to adapt")
    for name, module in found:
        model.set_submodule(name, LoRALinear(module, rank, alpha))


def lora_layers(model: nn.Module) -> dict[str, LoRALinear]:
    """The adapted layers by their names."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoRALinear)}


def base_weights(model: nn.Module) -> dict[str, Tensor]:
    """A model's tensors by their names, without those of its adaptation."""
    return {name: tensor for name, tensor in model.state_dict().items() if ".lora_" not in name}
