"""Attention maps of a GPT: the attention weights of each head, which the kernels never store."""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.ops.attention.masking import visible_keys
from gpt_from_scratch.models.gpt import GPT, Block, CausalSelfAttention


@torch.no_grad()
def attention_maps(
    model: GPT, tokens: Sequence[int], layers: Sequence[int] | None = None
) -> Float[Tensor, "layer h t t"]:
    """softmax(q kᵀ / √d) of every head on one text; row i holds the weights of token i on tokens 0 to i.

    Args:
        layers: numbers of the blocks, from 0; default: all. A map has t² elements per head.

    Raises:
        ValueError: there are no tokens, or more than the context holds.
    """
    if not tokens:
        raise ValueError("there are no tokens to look at: give a text")
    maps: list[Float[Tensor, "h t t"]] = []

    def note(module: CausalSelfAttention, inputs: tuple[Any, ...]) -> None:
        x, rotary, documents = inputs[:3]
        q, k, _ = module.queries_keys_values(x, rotary)
        k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
        scores = q.float() @ k.float().transpose(-1, -2) / math.sqrt(q.shape[-1])
        visible = visible_keys(q.shape[2], k.shape[2], True, None, documents, module.window, q.device)
        assert visible is not None
        maps.append(scores.masked_fill(~visible, -math.inf).softmax(-1)[0].cpu())

    with ExitStack() as stack:
        for block in [model.h[layer] for layer in sorted(range(len(model.h)) if layers is None else layers)]:
            assert isinstance(block, Block)
            handle = block.attn.register_forward_pre_hook(note)
            stack.callback(handle.remove)
        model.hidden(torch.tensor([list(tokens)], device=model.wte.weight.device))
    return torch.stack(maps)
