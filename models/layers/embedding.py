"""Embedding layer that is fast to create on the meta device, and efficient for large tables on a CPU."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gpt_from_scratch.kernels.cpu_speed import is_large, large_empty


class Embedding(nn.Embedding):
    """nn.Embedding whose gradient, which is mostly zero, reuses its memory."""

    def reset_parameters(self) -> None:
        """nn.Embedding's initialization, skipped for meta tensors, for which torch would import Dynamo (a second)."""
        if not self.weight.is_meta:
            super().reset_parameters()

    def forward(self, tokens: Int[Tensor, "*b"]) -> Float[Tensor, "*b c"]:
        """The embeddings of the tokens."""
        if torch.is_grad_enabled() and is_large(self.weight.nbytes, self.weight.device):
            rows: Tensor = _LargeLookup.apply(self.weight, tokens)  # type: ignore[no-untyped-call]
            return rows
        return super().forward(tokens)


class _LargeLookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Float[Tensor, "v c"], tokens: Int[Tensor, "*b"]) -> Float[Tensor, "*b c"]:
        ctx.save_for_backward(tokens)
        ctx.shape = weight.shape
        return nn.functional.embedding(tokens, weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (tokens,), (grad,) = ctx.saved_tensors, grads
        rows = large_empty(ctx.shape, grad.dtype, grad.device).zero_()
        return rows.index_add_(0, tokens.flatten(), grad.flatten(0, -2)), None
