"""The loss kernel of linear_cross_entropy, and the loop over chunks of tokens around it.

The matrix products are the library's. Between them one kernel reads a chunk's logits once from memory: a program takes
a row, finds its log-sum-exp, and writes the gradient over the logits while the row is still in the cache.

The vocabulary is padded (padding.py says why). The kernel ignores the logits of the added rows: for finite hidden states
they are 0, and so are their gradients.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from torch import Tensor

from gpt_from_scratch.kernels.ops.attention.triton_parts.tiles import tanh
from gpt_from_scratch.kernels.padding import padded_head
from gpt_from_scratch.kernels.triton_tools import configs
from gpt_from_scratch.kernels.triton_tools.launch import launch, opaque

CHUNK_LOGITS = 2**29  # maximum number of logits at a time: 10,672 tokens of GPT-2's vocabulary, 1 GiB in bf16
LOG2E = tl.constexpr(1.4426950408889634)
LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
@no_type_check
def loss_rows(
    logits_ptr,
    labels_ptr,
    upstream_ptr,
    loss_ptr,
    stride,
    ignore_index,
    smoothing,
    z_loss,
    cap,
    VOCABULARY: tl.constexpr,
    GRAD: tl.constexpr,
    UPSTREAM: tl.constexpr,
    SMOOTHING: tl.constexpr,
    Z_LOSS: tl.constexpr,
    CAP: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """loss = log Σ exp(logits) - logits[label] of one row; with GRAD, the logits become (softmax - one-hot) [· upstream].

    SMOOTHING, Z_LOSS and CAP say which of the terms `smoothing`, `z_loss` and `cap` there are.
    """
    row = tl.program_id(0).to(tl.int64)
    label = tl.load(labels_ptr + row)
    logits_ptr += row * stride
    counts = label != ignore_index
    top = float("-inf")
    total = 0.0
    picked = 0.0
    everything = 0.0
    for first in range(0, VOCABULARY, BLOCK):
        column = first + tl.arange(0, BLOCK)
        x = tl.load(logits_ptr + column, mask=column < VOCABULARY, other=float("-inf")).to(tl.float32)
        if CAP:
            x = tl.where(column < VOCABULARY, tanh(x / cap) * cap, float("-inf"))
        if SMOOTHING:
            everything += tl.sum(tl.where(column < VOCABULARY, x, 0.0), 0)
        picked += tl.sum(tl.where(column == label, x, 0.0), 0)
        higher = tl.maximum(top, tl.max(x, 0))
        total = total * tl.exp2((top - higher) * LOG2E) + tl.sum(tl.exp2((x - higher) * LOG2E), 0)
        top = higher
    lse = top + tl.log2(total) * LN2
    known = (label >= 0) & (label < VOCABULARY)  # the op has checked the labels; an invalid one gives NaN
    loss = lse - picked
    if SMOOTHING:
        loss += smoothing * (picked - everything / VOCABULARY)
    if Z_LOSS:
        loss += z_loss * lse * lse
    loss = tl.where(counts, tl.where(known, loss, float("nan")), 0.0)
    tl.store(loss_ptr + row, loss)
    if GRAD:
        factor = 1.0
        if UPSTREAM:
            factor = tl.load(upstream_ptr + row)
        for first in range(0, VOCABULARY, BLOCK):
            column = first + tl.arange(0, BLOCK)
            x = tl.load(logits_ptr + column, mask=column < VOCABULARY, other=float("-inf")).to(tl.float32)
            if CAP:
                bent = tanh(x / cap)
                x = bent * cap
            p = tl.exp2((x - lse) * LOG2E)
            if Z_LOSS:
                p *= 1 + 2 * z_loss * lse
            if SMOOTHING:
                slopes = p - smoothing / VOCABULARY - tl.where(column == label, 1 - smoothing, 0.0)
            else:
                slopes = p - tl.where(column == label, 1.0, 0.0)
            if CAP:
                slopes *= 1 - bent * bent
            grad = tl.where(counts, slopes * factor, 0.0)
            tl.store(logits_ptr + column, grad.to(logits_ptr.dtype.element_ty), mask=column < VOCABULARY)


def shapes(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    upstream: Tensor | None,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    softcap: float | None,
    with_hidden: bool,
    with_weight: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Empty tensors like `losses_and_gradients`'s."""
    wide = torch.float32
    return (
        hidden.new_empty(len(hidden), dtype=wide),
        hidden.new_empty(hidden.shape if with_hidden else 0),
        weight.new_empty(weight.shape if with_weight else 0),
    )


@opaque("losses_and_gradients", shapes)
def losses_and_gradients(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    upstream: Tensor | None,
    ignore_index: int,
    label_smoothing: float,
    z_loss: float,
    softcap: float | None,
    with_hidden: bool,
    with_weight: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """(losses (n) in fp32, their gradient by hidden (n, d), by weight (v, d)), each gradient empty where it is not wanted.

    The gradients are those of Σ upstream · losses, or of Σ losses. `hidden` is (n, d), `labels` is (n); the losses are not
    multiplied by `upstream`.
    """
    terms, wanted = (label_smoothing, z_loss, softcap), (with_hidden, with_weight)
    losses, grad_hidden, grad_weight = shapes(hidden, weight, labels, upstream, ignore_index, *terms, *wanted)
    labels, upstream = labels.contiguous(), None if upstream is None else upstream.contiguous()
    head, vocabulary = padded_head(weight, hidden.dtype), len(weight)
    config = configs.find(hidden, "linear_cross_entropy", "loss", vocabulary)
    chunk = chunk_rows(len(hidden), len(head))
    buffer = hidden.new_empty(chunk, len(head))
    total = head.new_zeros(head.shape if with_weight else 0, dtype=torch.float32)  # bf16 diverges (Liger-Kernel#512)
    for first in range(0, len(hidden), chunk):
        rows = slice(first, first + chunk)
        h = hidden[rows]
        logits = buffer[: len(h)]
        torch.mm(h, head.T, out=logits)
        launch(
            loss_rows,
            (len(h),),
            config,
            *(logits, labels[rows], losses if upstream is None else upstream[rows], losses[rows]),
            *(len(head), ignore_index, label_smoothing, z_loss, softcap or 1.0),
            VOCABULARY=vocabulary,
            GRAD=with_hidden or with_weight,
            UPSTREAM=upstream is not None,
            SMOOTHING=label_smoothing > 0,
            Z_LOSS=z_loss > 0,
            CAP=softcap is not None,
            BLOCK=min(config.columns, triton.next_power_of_2(vocabulary)),
        )
        if with_hidden:
            torch.mm(logits, head, out=grad_hidden[rows])
        if with_weight:
            add_product(total, logits.T, h)
    return losses, grad_hidden, total[:vocabulary].to(weight.dtype) if with_weight else grad_weight


def chunk_rows(rows: int, vocabulary: int) -> int:
    """Rows per chunk: as equal as possible, multiples of 128, at most CHUNK_LOGITS logits."""
    chunks = max(1, -(-rows * vocabulary // CHUNK_LOGITS))
    return max(128, -(-rows // chunks // 128) * 128)


def add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    """total += a @ b, summed in fp32 also for half precision where the library can: total is fp32, (n, m)."""
    if a.dtype == torch.float32:
        total.addmm_(a, b)
    elif a.is_cuda and torch.version.hip is None:
        torch.addmm(total, a, b, out_dtype=torch.float32, out=total)
    else:
        total += (a @ b).float()
