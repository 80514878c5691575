"""The mask: the keys that each query may see."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def visible_keys(
    tq: int, tk: int, causal: bool, kv_lengths: Int[Tensor, " b"] | None, device: torch.device
) -> Bool[Tensor, "#b 1 tq tk"] | None:
    """Which keys each query may see, or None if every query sees every key."""
    if not causal and kv_lengths is None:
        return None
    lengths = torch.full((1,), tk, device=device) if kv_lengths is None else kv_lengths
    lengths = lengths.view(-1, 1, 1, 1)
    key = torch.arange(tk, device=device)
    visible = key < lengths
    if causal:
        query = torch.arange(tq, device=device).unsqueeze(-1)
        visible = visible & (key <= query + lengths - tq)
    return visible.expand(-1, 1, tq, tk)
