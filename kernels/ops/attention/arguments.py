"""Argument checks of attention."""

import math

import torch
from torch import Tensor

from gpt_from_scratch.kernels import argument_checks as checks
from gpt_from_scratch.kernels.backends import NO_OTHER, Place


def check_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = True,
    scale: float | None = None,
    kv_lengths: Tensor | None = None,
    documents: Tensor | None = None,
    window: int | None = None,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> None:
    """Raise ValueError or TypeError on arguments outside the op's contract."""
    if q.ndim != 4 or k.ndim != 4 or k.shape != v.shape or q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3]:
        raise ValueError(
            "attention: expected q (b, hq, tq, d) and k, v (b, hkv, tk, d), "
            f"got {tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)}"
        )
    if k.shape[1] == 0 or q.shape[1] % k.shape[1]:
        raise ValueError(f"attention: the {k.shape[1]} key-value heads must divide the {q.shape[1]} query heads")
    checks.same_dtype("attention", q=q, k=k, v=v)
    checks.same_device("attention", q=q, k=k, v=v, kv_lengths=kv_lengths, documents=documents, sinks=sinks)
    if kv_lengths is not None:
        _check_integers("kv_lengths", kv_lengths, (q.shape[0],), "one a row of the batch")
    if documents is not None:
        hint = "the id of each key's document (of offsets: masking.document_ids)"
        _check_integers("documents", documents, (k.shape[0], k.shape[2]), hint)
    if window is not None and (isinstance(window, bool) or not isinstance(window, int | torch.SymInt) or window < 1):
        raise ValueError(
            f"attention: window must be an integer from 1 on (1: a query sees itself alone), not {window!r}"
        )
    if softcap is not None and not (softcap > 0 and math.isfinite(softcap)):
        raise ValueError(f"attention: softcap must be a positive number, or None for none; it is {softcap!r}")
    if sinks is not None:
        if sinks.shape != q.shape[1:2]:
            raise ValueError(
                f"attention: sinks must be {q.shape[1]} numbers, one a query head, got {tuple(sinks.shape)}"
            )
        checks.parameter_dtype("attention", q.dtype, sinks=sinks)


def attention_place(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = True,
    scale: float | None = None,
    kv_lengths: Tensor | None = None,
    documents: Tensor | None = None,
    window: int | None = None,
    softcap: float | None = None,
    sinks: Tensor | None = None,
) -> Place | str:
    """The head size and the number of tokens of a causal call, by which it was measured."""
    if softcap is not None or sinks is not None:
        return NO_OTHER
    if kv_lengths is not None or q.shape[2] != k.shape[2]:
        return "with keys before the queries"
    if documents is not None or window is not None:
        return "with documents or a window"
    return Place(q.dtype, q.shape[3], q.shape[2]) if causal else "without the causal mask"


def _check_integers(name: str, x: Tensor, shape: tuple[int, ...], what: str) -> None:
    if x.shape != shape or x.dtype not in (torch.int32, torch.int64):
        raise ValueError(
            f"attention: {name} must be {' x '.join(map(str, shape))} integers, {what}, got {tuple(x.shape)} of {x.dtype}"
        )
