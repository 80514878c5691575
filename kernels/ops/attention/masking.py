"""The mask: the keys that each query may see.

Query i of tq stands at position i + length - tq among its row's keys: the last query at the last valid key.
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def visible_keys(
    tq: int,
    tk: int,
    causal: bool,
    kv_lengths: Int[Tensor, " b"] | None,
    documents: Int[Tensor, "b tk"] | None,
    window: int | None,
    device: torch.device,
) -> Bool[Tensor, "#b 1 tq tk"] | None:
    """Mask of the keys that each query may see; None if every query sees every key."""
    if not causal and kv_lengths is None and documents is None and window is None:
        return None
    lengths = torch.full((1,), tk, device=device) if kv_lengths is None else kv_lengths
    lengths = lengths.view(-1, 1, 1, 1)
    key = torch.arange(tk, device=device)
    position = torch.arange(tq, device=device).unsqueeze(-1) + lengths - tq
    visible = key < lengths
    if causal:
        visible = visible & (key <= position)
    if window is not None:
        visible = visible & (key > position - window)
        if not causal:
            visible = visible & (key < position + window)
    if documents is not None:
        first, end = (bound[:, None, None, :] for bound in document_bounds(documents))
        visible = visible & (first <= position) & (position < end)
    return visible.expand(-1, 1, tq, tk)


def document_bounds(documents: Int[Tensor, "b t"]) -> tuple[Int[Tensor, "b t"], Int[Tensor, "b t"]]:
    """For each token the first position of its document, and the one after its last, as int32.

    A document is a run of neighbours with one id: an id that comes again after another begins a new document.
    """
    begins = torch.zeros_like(documents, dtype=torch.int32)
    begins[:, 1:] = documents[:, 1:] != documents[:, :-1]
    number = begins.cumsum(1, dtype=torch.int32)
    first = torch.searchsorted(number, number, out_int32=True)
    return first, torch.searchsorted(number, number, right=True, out_int32=True)


def document_ids(offsets: Int[Tensor, " n"], tokens: int) -> Int[Tensor, "1 t"]:
    """The ids that attention takes, of one row of so many tokens whose documents begin at `offsets` (cu_seqlens).

    An offset of 0 at the front and of `tokens` at the end change nothing.
    """
    position = torch.arange(tokens, device=offsets.device)
    return torch.searchsorted(offsets.to(position.dtype), position, right=True).unsqueeze(0)
