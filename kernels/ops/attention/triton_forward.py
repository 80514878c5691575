"""The forward kernels of attention: FlashAttention-2's loop over key blocks (Dao 2023), and split keys for decoding.

Scores are kept in units of log2: scale · log2(e) is folded into one multiply-add before exp2, which is the hardware's
exponential. Only the key blocks that the causal diagonal or the end of the keys crosses are masked; the loop over the
others checks nothing. A head size that is no power of two is taken as two tiles (80 as 64 + 16), each product twice; on
Hopper as one (triton_kernel.narrow_tiles_break).

Softmax needs no running maximum, only some number near it, so that the exponentials neither overflow nor vanish. The masked
blocks come first, and the maximum that they leave serves all others: no maxima, no rescaling of the output, and no exchange
between threads there. Should a row's sum then pass LARGEST_SUM, the program does its work again with a running maximum.
"""

from typing import no_type_check

import triton
import triton.language as tl

LARGEST_SUM = tl.constexpr(
    2.0**64
)  # of a row's exponentials: its scores passed the maximum that served by up to 44 nats


@triton.jit
@no_type_check
def load_tile(
    base,
    stride,
    rows,
    D: tl.constexpr,
    FIRST: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK: tl.constexpr,
    CHECK: tl.constexpr,
):
    """BLOCK rows from `base`, columns FIRST to FIRST + WIDTH; zeros from row `rows` (if CHECK) and from column D on."""
    row = tl.arange(0, BLOCK)
    column = FIRST + tl.arange(0, WIDTH)
    at = base + row[:, None] * stride + column[None, :]
    if FIRST + WIDTH > D:
        if CHECK:
            return tl.load(at, mask=(row < rows)[:, None] & (column < D)[None, :], other=0.0)
        else:
            return tl.load(at, mask=(column < D)[None, :], other=0.0)
    else:
        if CHECK:
            return tl.load(at, mask=(row < rows)[:, None], other=0.0)
        else:
            return tl.load(at)


@triton.jit
@no_type_check
def store_tile(
    base, stride, rows, tile, D: tl.constexpr, FIRST: tl.constexpr, WIDTH: tl.constexpr, BLOCK: tl.constexpr
):
    """Store what `load_tile` loads."""
    row = tl.arange(0, BLOCK)
    column = FIRST + tl.arange(0, WIDTH)
    at = base + row[:, None] * stride + column[None, :]
    tl.store(at, tile.to(base.dtype.element_ty), mask=(row < rows)[:, None] & (column < D)[None, :])


@triton.jit
@no_type_check
def key_range(
    lengths_ptr,
    batch,
    first_row,
    tq,
    tk,
    CAUSAL: tl.constexpr,
    LENGTHS: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """For queries first_row to first_row + BLOCK_M: (offset, valid, full, end), in keys.

    Query i sees the keys up to i + offset, and below `valid`. All of them see those below `full`, none any from `end` on.
    """
    length = tk
    if LENGTHS:
        length = tl.load(lengths_ptr + batch).to(tl.int32)
    valid = tl.minimum(tl.maximum(length, 0), tk)
    offset = length - tq
    end = valid
    full = valid
    if CAUSAL:
        end = tl.minimum(tl.maximum(tl.minimum(first_row + BLOCK_M, tq) + offset, 0), valid)
        full = tl.minimum(tl.maximum(first_row + offset + 1, 0), valid)
    return offset, valid, full // BLOCK_N * BLOCK_N, end


@triton.jit
@no_type_check
def attend(
    acc,
    acc_rest,
    top,
    total,
    q,
    q_rest,
    k_base,
    v_base,
    k_row,
    v_row,
    first,
    last,
    query,
    valid,
    scale,
    D: tl.constexpr,
    LEAD: tl.constexpr,
    REST: tl.constexpr,
    BLOCK_N: tl.constexpr,
    MASKED: tl.constexpr,
    RUNNING: tl.constexpr,
    CAUSAL: tl.constexpr,
    CHECK: tl.constexpr,
    PRECISION: tl.constexpr,
    STAGES: tl.constexpr = None,
):
    """Fold the keys from `first` to `last` into the sum and output, and with RUNNING into the maximum, which else stays.

    `query` is each row's last visible key, STAGES the loop's pipeline where it is not the kernel's.
    """
    for start in tl.range(first, last, BLOCK_N, num_stages=STAGES):
        start = tl.multiple_of(start, BLOCK_N)
        k_at = k_base + tl.cast(start, tl.int64) * k_row
        k = load_tile(k_at, k_row, valid - start, D, 0, LEAD, BLOCK_N, CHECK)
        s = tl.dot(q, tl.trans(k), input_precision=PRECISION)
        if REST:
            k_rest = load_tile(k_at, k_row, valid - start, D, LEAD, REST, BLOCK_N, CHECK)
            s = tl.dot(q_rest, tl.trans(k_rest), s, input_precision=PRECISION)
        if MASKED:
            key = start + tl.arange(0, BLOCK_N)
            visible = (key < valid)[None, :]
            if CAUSAL:
                visible = visible & (key[None, :] <= query[:, None])
            s = tl.where(visible, s * scale, float("-inf"))
            higher = tl.maximum(top, tl.max(s, 1))
            safe = tl.where(higher == float("-inf"), 0.0, higher)  # a row that has seen no key yet
            p = tl.exp2(s - safe[:, None])
        elif RUNNING:
            higher = tl.maximum(top, tl.max(s, 1) * scale)
            safe = higher
            p = tl.exp2(s * scale - higher[:, None])
        else:
            p = tl.exp2(s * scale - top[:, None])
        if RUNNING:
            fade = tl.exp2(top - safe)
            total *= fade
            acc *= fade[:, None]
            if REST:
                acc_rest *= fade[:, None]
            top = higher
        total += tl.sum(p, 1)
        v_at = v_base + tl.cast(start, tl.int64) * v_row
        v = load_tile(v_at, v_row, valid - start, D, 0, LEAD, BLOCK_N, CHECK)
        acc = tl.dot(p.to(v.dtype), v, acc, input_precision=PRECISION)
        if REST:
            v_rest = load_tile(v_at, v_row, valid - start, D, LEAD, REST, BLOCK_N, CHECK)
            acc_rest = tl.dot(p.to(v.dtype), v_rest, acc_rest, input_precision=PRECISION)
    return acc, acc_rest, top, total


@triton.jit
@no_type_check
def attention_forward(
    q_ptr,
    k_ptr,
    v_ptr,
    lengths_ptr,
    out_ptr,
    lse_ptr,
    q_batch,
    q_head,
    q_row,
    k_batch,
    k_head,
    k_row,
    v_batch,
    v_head,
    v_row,
    out_batch,
    out_head,
    out_row,
    out_split,
    lse_split,
    heads,
    group,
    tq,
    tk,
    span,
    scale,
    D: tl.constexpr,
    LEAD: tl.constexpr,
    REST: tl.constexpr,
    CAUSAL: tl.constexpr,
    LENGTHS: tl.constexpr,
    EVEN_Q: tl.constexpr,
    EVEN_K: tl.constexpr,
    SPLIT: tl.constexpr,
    RUNNING: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Output and log2-sum-exp2 of BLOCK_M queries of one head, over all keys or (SPLIT) over the `span` keys of this split.

    RUNNING keeps a running maximum throughout.
    """
    blocks = tl.cdiv(tq, BLOCK_M)
    block = blocks - 1 - tl.program_id(0) % blocks  # the longest causal rows first: the short ones fill the gaps
    batch = tl.program_id(0) // blocks // heads
    head = tl.program_id(0) // blocks % heads
    split = tl.program_id(1).to(tl.int64)
    first_row = block * BLOCK_M
    rows = tq - first_row
    q_at = q_ptr + batch.to(tl.int64) * q_batch + head.to(tl.int64) * q_head + first_row.to(tl.int64) * q_row
    k_base = k_ptr + batch.to(tl.int64) * k_batch + (head // group).to(tl.int64) * k_head
    v_base = v_ptr + batch.to(tl.int64) * v_batch + (head // group).to(tl.int64) * v_head
    offset, valid, full, end = key_range(lengths_ptr, batch, first_row, tq, tk, CAUSAL, LENGTHS, BLOCK_M, BLOCK_N)
    first = 0
    if SPLIT:
        first = tl.program_id(1) * span
        end = tl.minimum(end, first + span)
        full = tl.maximum(tl.minimum(full, first + span), first)

    q = load_tile(q_at, q_row, rows, D, 0, LEAD, BLOCK_M, not EVEN_Q)
    acc = tl.zeros([BLOCK_M, LEAD], tl.float32)
    if REST:
        q_rest = load_tile(q_at, q_row, rows, D, LEAD, REST, BLOCK_M, not EVEN_Q)
        acc_rest = tl.zeros([BLOCK_M, REST], tl.float32)
    else:
        q_rest = q
        acc_rest = acc
    top = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    query = first_row + tl.arange(0, BLOCK_M) + offset
    if not RUNNING:  # every row has a key in the masked blocks, which leave it a maximum
        last = valid - 1
        if CAUSAL:
            last = tl.minimum(last, first_row + offset)
        full = tl.maximum(last, 0) // BLOCK_N * BLOCK_N
    if not RUNNING or CAUSAL or LENGTHS or not EVEN_K:
        acc, acc_rest, top, total = attend(
            acc, acc_rest, top, total, q, q_rest, k_base, v_base, k_row, v_row, full, end, query, valid, scale,
            D, LEAD, REST, BLOCK_N, True, True, CAUSAL, LENGTHS or not EVEN_K, PRECISION,
        )  # fmt: skip
    acc, acc_rest, top, total = attend(
        acc, acc_rest, top, total, q, q_rest, k_base, v_base, k_row, v_row, first, full, query, valid, scale,
        D, LEAD, REST, BLOCK_N, False, RUNNING, CAUSAL, False, PRECISION,
    )  # fmt: skip
    if not RUNNING:  # noqa: SIM102 (a constant: without it the branch is not even compiled)
        if tl.max(total, 0) > LARGEST_SUM:
            acc = tl.zeros([BLOCK_M, LEAD], tl.float32)
            acc_rest = tl.zeros([BLOCK_M, REST or LEAD], tl.float32)
            top = tl.full([BLOCK_M], float("-inf"), tl.float32)
            total = tl.zeros([BLOCK_M], tl.float32)
            acc, acc_rest, top, total = attend(
                acc, acc_rest, top, total, q, q_rest, k_base, v_base, k_row, v_row, 0, end, query, valid, scale,
                D, LEAD, REST, BLOCK_N // 2, True, True, CAUSAL, LENGTHS or not EVEN_K, PRECISION, 1,
            )  # fmt: skip

    norm = tl.where(total == 0, 1.0, 1 / total)
    out_at = out_ptr + split * out_split + batch.to(tl.int64) * out_batch + head.to(tl.int64) * out_head
    out_at += first_row.to(tl.int64) * out_row
    store_tile(out_at, out_row, rows, acc * norm[:, None], D, 0, LEAD, BLOCK_M)
    if REST:
        store_tile(out_at, out_row, rows, acc_rest * norm[:, None], D, LEAD, REST, BLOCK_M)
    lse_at = lse_ptr + split * lse_split + (tl.program_id(0) // blocks).to(tl.int64) * tq + first_row
    row = tl.arange(0, BLOCK_M)
    tl.store(lse_at + row, top + tl.log2(total), mask=row < rows)


@triton.jit
@no_type_check
def combine_splits(
    partial_ptr,
    partial_lse_ptr,
    out_ptr,
    lse_ptr,
    out_batch,
    out_head,
    out_row,
    heads,
    tq,
    rows,
    splits,
    D: tl.constexpr,
    BLOCK_D: tl.constexpr,
    SPLITS: tl.constexpr,
):
    """One query row of one head: the splits' outputs weighted by their sums. The partial outputs are (splits, rows, D)."""
    row = tl.program_id(0).to(tl.int64)
    split = tl.arange(0, SPLITS)
    column = tl.arange(0, BLOCK_D)
    lse = tl.load(partial_lse_ptr + split * rows + row, mask=split < splits, other=float("-inf"))
    top = tl.max(lse, 0)
    weight = tl.exp2(lse - tl.where(top == float("-inf"), 0.0, top))
    total = tl.sum(weight, 0)
    at = (split[:, None] * rows + row) * D + column[None, :]
    partial = tl.load(partial_ptr + at, mask=(split < splits)[:, None] & (column < D)[None, :], other=0.0)
    out = tl.sum(partial * weight[:, None], 0) / tl.where(total == 0, 1.0, total)
    out_at = out_ptr + row // tq // heads * out_batch + row // tq % heads * out_head + row % tq * out_row
    tl.store(out_at + column, out.to(out_ptr.dtype.element_ty), mask=column < D)
    tl.store(lse_ptr + row, top + tl.log2(total))
