"""The norms of a GPT: LayerNorm or RMSNorm, with or without weights, computed by ops of the registry."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gpt_from_scratch.kernels.ops.add_layer_norm import add_layer_norm
from gpt_from_scratch.kernels.ops.layer_norm import layer_norm
from gpt_from_scratch.kernels.ops.rms_norm import rms_norm
from gpt_from_scratch.models.config import GPTConfig


class Norm(nn.Module):
    """A norm over the residual stream's width, according to the config."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.kind, self.eps, self.width = config.norm, config.norm_eps, config.n_embd
        self.weight = nn.Parameter(torch.ones(config.n_embd)) if config.norm_weight else None
        self.bias = nn.Parameter(torch.zeros(config.n_embd)) if config.has_norm_bias else None

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        """The norm of x."""
        if self.kind == "rms":
            return rms_norm(x, self.weight, self.eps)
        return layer_norm(x, self._scale(x), self.bias, self.eps)

    def after(
        self, branch: Float[Tensor, "b t c"], x: Float[Tensor, "b t c"]
    ) -> tuple[Float[Tensor, "b t c"], Float[Tensor, "b t c"]]:
        """Add a branch to the residual stream x; returns (norm of the sum, sum), in one pass where a kernel fuses them."""
        if self.kind == "rms":
            total = x + branch
            return rms_norm(total, self.weight, self.eps), total
        return add_layer_norm(branch, x, self._scale(x), self.bias, self.eps)

    def _scale(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, " c"]:
        return torch.ones(self.width, device=x.device) if self.weight is None else self.weight


class HeadNorm(nn.Module):
    """The RMSNorm of queries or keys, of each head by itself or of all together."""

    def __init__(self, config: GPTConfig, heads: int) -> None:
        super().__init__()
        self.eps, self.together = config.qk_norm_eps, config.qk_norm_over == "heads"
        width = config.head_size * (heads if self.together else 1)
        self.weight = nn.Parameter(torch.ones(width)) if config.qk_norm_weight else None

    def forward(self, x: Float[Tensor, "b h t d"]) -> Float[Tensor, "b h t d"]:
        """The norm of x."""
        if not self.together:
            return rms_norm(x, self.weight, self.eps)
        flat = rms_norm(x.transpose(1, 2).flatten(2), self.weight, self.eps)
        return flat.view(x.shape[0], -1, x.shape[1], x.shape[3]).transpose(1, 2)
