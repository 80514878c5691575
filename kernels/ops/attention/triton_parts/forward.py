"""The forward kernel of attention: FlashAttention-2's loop over key blocks (Dao 2023), of which decoding has its own.

Scores are kept in units of log2: scale · log2(e) is folded into one multiply-add before exp2, which is the hardware's
exponential. Only the key blocks that the causal diagonal, the end of the keys or a bound of documents and windows crosses
are masked; the loop over the others checks nothing. A head size that is no power of two is taken as two tiles (80 as 64 + 16),
each product twice; on Hopper as one (triton_kernel.narrow_tiles_break).

Softmax needs no running maximum, only some number near it, so that the exponentials neither overflow nor vanish. The masked
blocks come first, and the maximum that they leave serves all others: no maxima, no rescaling of the output, and no exchange
between threads there. Should a row's sum then pass LARGEST_SUM, the program does its work again with a running maximum.
"""

from typing import no_type_check

import triton
import triton.language as tl

from gpt_from_scratch.kernels.ops.attention.triton_parts.ranges import blocks_of, key_range, keys_of
from gpt_from_scratch.kernels.ops.attention.triton_parts.tiles import load_tile, store_tile, tanh

LOG2E = tl.constexpr(1.4426950408889634)
LARGEST_SUM = tl.constexpr(
    2.0**64
)  # of a row's exponentials: its scores passed the maximum that served by up to 44 nats


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
    hole,
    gap,
    low,
    query,
    valid,
    scale,
    cap,
    D: tl.constexpr,
    LEAD: tl.constexpr,
    REST: tl.constexpr,
    BLOCK_N: tl.constexpr,
    MASKED: tl.constexpr,
    RUNNING: tl.constexpr,
    CAUSAL: tl.constexpr,
    BOUNDED: tl.constexpr,
    CAP: tl.constexpr,
    CHECK: tl.constexpr,
    PRECISION: tl.constexpr,
    STAGES: tl.constexpr = None,
):
    """Fold the keys from `first` to `last` into the sum and output, and with RUNNING into the maximum, which else stays.

    `low` and `query` are each row's first and last visible key, as far as BOUNDED and CAUSAL ask for them. Where MASKED and
    BOUNDED, `gap` keys from `hole` on are left out, and `last` is less by as many. STAGES is the loop's pipeline where it is
    not the kernel's.
    """
    for start in tl.range(first, last, BLOCK_N, num_stages=STAGES):
        if MASKED and BOUNDED:
            start += tl.where(start < hole, 0, gap)
        start = tl.multiple_of(start, BLOCK_N)
        k_at = k_base + tl.cast(start, tl.int64) * k_row
        k = load_tile(k_at, k_row, valid - start, D, 0, LEAD, BLOCK_N, CHECK)
        s = tl.dot(q, tl.trans(k), input_precision=PRECISION)
        if REST:
            k_rest = load_tile(k_at, k_row, valid - start, D, LEAD, REST, BLOCK_N, CHECK)
            s = tl.dot(q_rest, tl.trans(k_rest), s, input_precision=PRECISION)
        factor = scale
        if CAP:
            s = tanh(s * scale) * cap
            factor = 1.0
        if MASKED:
            key = start + tl.arange(0, BLOCK_N)
            visible = (key < valid)[None, :]
            if CAUSAL or BOUNDED:
                visible = visible & (key[None, :] <= query[:, None])
            if BOUNDED:
                visible = visible & (key[None, :] >= low[:, None])
            s = tl.where(visible, s * factor, float("-inf"))
            higher = tl.maximum(top, tl.max(s, 1))
            safe = tl.where(higher == float("-inf"), 0.0, higher)  # a row that has seen no key yet
            p = tl.exp2(s - safe[:, None])
        elif RUNNING:
            higher = tl.maximum(top, tl.max(s, 1) * factor)
            safe = higher
            p = tl.exp2(s * factor - higher[:, None])
        else:
            p = tl.exp2(s * factor - top[:, None])
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
def nothing_yet(sink_ptr, BLOCK_M: tl.constexpr, SINKS: tl.constexpr):
    """(maximum, sum of exponentials) of rows before the first key: that of the sink, which the first split counts.

    `sink_ptr` points at the sink of all rows, or at one a row.
    """
    top = tl.full([BLOCK_M], float("-inf"), tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    if SINKS:
        mine = tl.program_id(1) == 0
        sink = tl.load(sink_ptr).to(tl.float32) * LOG2E
        top = tl.where(mine, tl.zeros([BLOCK_M], tl.float32) + sink, top)
        total = tl.where(mine, total + 1, total)
    return top, total


@triton.jit
@no_type_check
def attention_forward(
    q_ptr,
    k_ptr,
    v_ptr,
    lengths_ptr,
    starts_ptr,
    ends_ptr,
    sinks_ptr,
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
    heads,
    group,
    tq,
    tk,
    window,
    scale,
    cap,
    D: tl.constexpr,
    LEAD: tl.constexpr,
    REST: tl.constexpr,
    CAUSAL: tl.constexpr,
    LENGTHS: tl.constexpr,
    DOCUMENTS: tl.constexpr,
    WINDOW: tl.constexpr,
    CAP: tl.constexpr,
    SINKS: tl.constexpr,
    EVEN_Q: tl.constexpr,
    EVEN_K: tl.constexpr,
    RUNNING: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Output and log2-sum-exp2 of BLOCK_M queries of one head; RUNNING keeps a running maximum throughout."""
    blocks = tl.cdiv(tq, BLOCK_M)
    block = blocks - 1 - tl.program_id(0) % blocks  # the longest causal rows first: the short ones fill the gaps
    batch = tl.program_id(0) // blocks // heads
    head = tl.program_id(0) // blocks % heads
    first_row = block * BLOCK_M
    rows = tq - first_row
    q_at = q_ptr + batch.to(tl.int64) * q_batch + head.to(tl.int64) * q_head + first_row.to(tl.int64) * q_row
    k_base = k_ptr + batch.to(tl.int64) * k_batch + (head // group).to(tl.int64) * k_head
    v_base = v_ptr + batch.to(tl.int64) * v_batch + (head // group).to(tl.int64) * v_head
    offset, valid, full, end = key_range(lengths_ptr, batch, first_row, tq, tk, CAUSAL, LENGTHS, BLOCK_M, BLOCK_N)
    BOUNDED: tl.constexpr = DOCUMENTS or WINDOW
    query = first_row + tl.arange(0, BLOCK_M) + offset
    low = query
    begin = 0
    first = 0
    if BOUNDED:
        documents = batch.to(tl.int64) * tk
        position = tl.minimum(query, tq + offset - 1)  # rows beyond the last see what it sees
        low, query = keys_of(
            position, starts_ptr + documents, ends_ptr + documents, tk, valid, window, CAUSAL, DOCUMENTS, WINDOW
        )
        begin, first, full, end = blocks_of(
            low, query, tl.arange(0, BLOCK_M) < rows, valid, BLOCK_N, 0 if RUNNING else 1
        )

    q = load_tile(q_at, q_row, rows, D, 0, LEAD, BLOCK_M, not EVEN_Q)
    acc = tl.zeros([BLOCK_M, LEAD], tl.float32)
    if REST:
        q_rest = load_tile(q_at, q_row, rows, D, LEAD, REST, BLOCK_M, not EVEN_Q)
        acc_rest = tl.zeros([BLOCK_M, REST], tl.float32)
    else:
        q_rest = q
        acc_rest = acc
    top, total = nothing_yet(sinks_ptr + head, BLOCK_M, SINKS)
    if not RUNNING and not BOUNDED:  # every row has a key in the masked blocks, which leave it a maximum
        last = valid - 1
        if CAUSAL:
            last = tl.minimum(last, first_row + offset)
        full = tl.maximum(last, 0) // BLOCK_N * BLOCK_N
    hole = 0
    gap = 0
    masked = full
    if BOUNDED:
        hole, gap, masked = first, full - first, begin
    if not RUNNING or CAUSAL or LENGTHS or BOUNDED or not EVEN_K:
        acc, acc_rest, top, total = attend(
            acc, acc_rest, top, total, q, q_rest, k_base, v_base, k_row, v_row, masked, end - gap, hole, gap, low, query, valid,
            scale, cap, D, LEAD, REST, BLOCK_N, True, True, CAUSAL, BOUNDED, CAP, LENGTHS or not EVEN_K, PRECISION,
        )  # fmt: skip
    acc, acc_rest, top, total = attend(
        acc, acc_rest, top, total, q, q_rest, k_base, v_base, k_row, v_row, first, full, hole, gap, low, query, valid,
        scale, cap, D, LEAD, REST, BLOCK_N, False, RUNNING, CAUSAL, BOUNDED, CAP, False, PRECISION,
    )  # fmt: skip
    if not RUNNING:  # noqa: SIM102 (a constant: without it the branch is not even compiled)
        if tl.max(total, 0) > LARGEST_SUM:
            acc = tl.zeros([BLOCK_M, LEAD], tl.float32)
            acc_rest = tl.zeros([BLOCK_M, REST or LEAD], tl.float32)
            top, total = nothing_yet(sinks_ptr + head, BLOCK_M, SINKS)
            acc, acc_rest, top, total = attend(
                acc, acc_rest, top, total, q, q_rest, k_base, v_base, k_row, v_row, begin, end, end, 0, low, query, valid,
                scale, cap, D, LEAD, REST, BLOCK_N // 2, True, True, CAUSAL, BOUNDED, CAP, LENGTHS or not EVEN_K, PRECISION, 1,
            )  # fmt: skip

    norm = tl.where(total == 0, 1.0, 1 / total)
    out_at = out_ptr + batch.to(tl.int64) * out_batch + head.to(tl.int64) * out_head + first_row.to(tl.int64) * out_row
    store_tile(out_at, out_row, rows, acc * norm[:, None], D, 0, LEAD, BLOCK_M)
    if REST:
        store_tile(out_at, out_row, rows, acc_rest * norm[:, None], D, LEAD, REST, BLOCK_M)
    lse_at = lse_ptr + (tl.program_id(0) // blocks).to(tl.int64) * tq + first_row
    row = tl.arange(0, BLOCK_M)
    tl.store(lse_at + row, top + tl.log2(total), mask=row < rows)
