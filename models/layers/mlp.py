"""The MLP of a block. Its first half is an op of the registry, except with a gate."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gpt_from_scratch.kernels.ops.linear_activation import linear_activation
from gpt_from_scratch.models.config import GPTConfig


class MLP(nn.Module):
    """Two linear layers with an activation between them; with a gate, the first layer computes the gate and its input."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.activation = config.activation
        rows = config.mlp_size * (2 if config.activation == "swiglu" else 1)
        self.c_fc = nn.Linear(config.n_embd, rows, bias=config.has_mlp_bias)
        self.c_proj = nn.Linear(config.mlp_size, config.n_embd, bias=config.has_mlp_bias)

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        """c_proj(activation(c_fc(x)))."""
        if self.activation == "swiglu":
            gate, passing = self.c_fc(x).chunk(2, dim=-1)
            hidden = F.silu(gate) * passing
        elif is_plain(self.c_fc):
            hidden = linear_activation(x, self.c_fc.weight, self.c_fc.bias, self.activation)
        else:
            hidden = self.c_fc(x)
            hidden = F.gelu(hidden, approximate="tanh") if self.activation == "gelu" else F.relu(hidden).square()
        out: Tensor = self.c_proj(hidden)
        return out


def is_plain(layer: nn.Module) -> bool:
    """Whether a linear layer is unmodified: not replaced (packed, adapted, quantized) and without hooks."""
    hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks, layer._backward_pre_hooks)
    return type(layer) is nn.Linear and not any(hooks)
