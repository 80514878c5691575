"""The backward kernel of attention for dQ; both backward kernels recompute the probabilities from the saved sums.

No atomics: every gradient is the same from run to run. The price is that the scores are computed twice, seven products
where atomic additions into dQ would need five.
"""

from typing import no_type_check

import triton
import triton.language as tl

from gpt_from_scratch.kernels.ops.attention.triton_parts.ranges import blocks_of, key_range, keys_of
from gpt_from_scratch.kernels.ops.attention.triton_parts.tiles import load_tile, store_tile, tanh


@triton.jit
@no_type_check
def gather_dq(
    dq,
    dq_rest,
    q,
    q_rest,
    do,
    do_rest,
    lse,
    delta,
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
    CAUSAL: tl.constexpr,
    BOUNDED: tl.constexpr,
    CAP: tl.constexpr,
    CHECK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Add the keys from `first` to `last` to dQ (without the scale), but `gap` keys from `hole` on, as in `attend`."""
    for start in range(first, last, BLOCK_N):
        if MASKED and BOUNDED:
            start += tl.where(start < hole, 0, gap)
        start = tl.multiple_of(start, BLOCK_N)
        k_at = k_base + tl.cast(start, tl.int64) * k_row
        v_at = v_base + tl.cast(start, tl.int64) * v_row
        k = load_tile(k_at, k_row, valid - start, D, 0, LEAD, BLOCK_N, CHECK)
        v = load_tile(v_at, v_row, valid - start, D, 0, LEAD, BLOCK_N, CHECK)
        s = tl.dot(q, tl.trans(k), input_precision=PRECISION)
        dp = tl.dot(do, tl.trans(v), input_precision=PRECISION)
        if REST:
            k_rest = load_tile(k_at, k_row, valid - start, D, LEAD, REST, BLOCK_N, CHECK)
            v_rest = load_tile(v_at, v_row, valid - start, D, LEAD, REST, BLOCK_N, CHECK)
            s = tl.dot(q_rest, tl.trans(k_rest), s, input_precision=PRECISION)
            dp = tl.dot(do_rest, tl.trans(v_rest), dp, input_precision=PRECISION)
        if CAP:
            bent = tanh(s * scale)
            p = tl.exp2(bent * cap - lse[:, None])
        else:
            p = tl.exp2(s * scale - lse[:, None])
        if MASKED:
            key = start + tl.arange(0, BLOCK_N)
            visible = (key < valid)[None, :]
            if CAUSAL or BOUNDED:
                visible = visible & (key[None, :] <= query[:, None])
            if BOUNDED:
                visible = visible & (key[None, :] >= low[:, None])
            p = tl.where(visible, p, 0.0)
        ds = p * (dp - delta[:, None])
        if CAP:
            ds *= 1 - bent * bent
        ds = ds.to(k.dtype)
        dq = tl.dot(ds, k, dq, input_precision=PRECISION)
        if REST:
            dq_rest = tl.dot(ds, k_rest, dq_rest, input_precision=PRECISION)
    return dq, dq_rest


@triton.jit
@no_type_check
def attention_backward_q(
    q_ptr,
    k_ptr,
    v_ptr,
    lengths_ptr,
    starts_ptr,
    ends_ptr,
    out_ptr,
    do_ptr,
    lse_ptr,
    delta_ptr,
    dq_ptr,
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
    do_batch,
    do_head,
    do_row,
    dq_batch,
    dq_head,
    dq_row,
    heads,
    group,
    tq,
    tk,
    window,
    log2_scale,
    cap,
    scale,
    D: tl.constexpr,
    LEAD: tl.constexpr,
    REST: tl.constexpr,
    CAUSAL: tl.constexpr,
    LENGTHS: tl.constexpr,
    DOCUMENTS: tl.constexpr,
    WINDOW: tl.constexpr,
    CAP: tl.constexpr,
    EVEN_Q: tl.constexpr,
    EVEN_K: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    DQ: tl.constexpr,
):
    """dQ of BLOCK_M queries of one head; it also stores delta = Σ out · dout, which the kernel for dK and dV reads after it.

    Without DQ it stores delta alone.
    """
    blocks = tl.cdiv(tq, BLOCK_M)
    block = blocks - 1 - tl.program_id(0) % blocks
    batch = tl.program_id(0) // blocks // heads
    head = tl.program_id(0) // blocks % heads
    first_row = block * BLOCK_M
    rows = tq - first_row
    b, h, first = batch.to(tl.int64), head.to(tl.int64), first_row.to(tl.int64)
    q_at = q_ptr + b * q_batch + h * q_head + first * q_row
    do_at = do_ptr + b * do_batch + h * do_head + first * do_row
    out_at = out_ptr + b * out_batch + h * out_head + first * out_row
    k_base = k_ptr + b * k_batch + h // group * k_head
    v_base = v_ptr + b * v_batch + h // group * v_head
    row = tl.arange(0, BLOCK_M)
    sums = (tl.program_id(0) // blocks).to(tl.int64) * tq + first_row

    q = load_tile(q_at, q_row, rows, D, 0, LEAD, BLOCK_M, not EVEN_Q)
    do = load_tile(do_at, do_row, rows, D, 0, LEAD, BLOCK_M, not EVEN_Q)
    out = load_tile(out_at, out_row, rows, D, 0, LEAD, BLOCK_M, not EVEN_Q)
    delta = tl.sum(out.to(tl.float32) * do.to(tl.float32), 1)
    dq = tl.zeros([BLOCK_M, LEAD], tl.float32)
    if REST:
        q_rest = load_tile(q_at, q_row, rows, D, LEAD, REST, BLOCK_M, not EVEN_Q)
        do_rest = load_tile(do_at, do_row, rows, D, LEAD, REST, BLOCK_M, not EVEN_Q)
        out_rest = load_tile(out_at, out_row, rows, D, LEAD, REST, BLOCK_M, not EVEN_Q)
        delta += tl.sum(out_rest.to(tl.float32) * do_rest.to(tl.float32), 1)
        dq_rest = tl.zeros([BLOCK_M, REST], tl.float32)
    else:
        q_rest = q
        do_rest = do
        dq_rest = dq
    tl.store(delta_ptr + sums + row, delta, mask=row < rows)
    if DQ:
        lse = tl.load(lse_ptr + sums + row, mask=row < rows, other=0.0)
        offset, valid, full, end = key_range(lengths_ptr, batch, first_row, tq, tk, CAUSAL, LENGTHS, BLOCK_M, BLOCK_N)
        BOUNDED: tl.constexpr = DOCUMENTS or WINDOW
        query = first_row + row + offset
        low = query
        unmasked = 0
        hole = 0
        gap = 0
        masked = full
        if BOUNDED:
            documents = b * tk
            low, query = keys_of(
                query, starts_ptr + documents, ends_ptr + documents, tk, valid, window, CAUSAL, DOCUMENTS, WINDOW
            )
            masked, unmasked, full, end = blocks_of(low, query, row < rows, valid, BLOCK_N, 0)
            hole, gap = unmasked, full - unmasked
        dq, dq_rest = gather_dq(
            dq, dq_rest, q, q_rest, do, do_rest, lse, delta, k_base, v_base, k_row, v_row, unmasked, full, hole, gap, low,
            query, valid, log2_scale, cap, D, LEAD, REST, BLOCK_N, False, CAUSAL, BOUNDED, CAP, False, PRECISION,
        )  # fmt: skip
        if CAUSAL or LENGTHS or BOUNDED or not EVEN_K:
            dq, dq_rest = gather_dq(
                dq, dq_rest, q, q_rest, do, do_rest, lse, delta, k_base, v_base, k_row, v_row, masked, end - gap, hole, gap,
                low, query, valid, log2_scale, cap,
                D, LEAD, REST, BLOCK_N, True, CAUSAL, BOUNDED, CAP, LENGTHS or not EVEN_K, PRECISION,
            )  # fmt: skip
        dq_at = dq_ptr + b * dq_batch + h * dq_head + first * dq_row
        store_tile(dq_at, dq_row, rows, dq * scale, D, 0, LEAD, BLOCK_M)
        if REST:
            store_tile(dq_at, dq_row, rows, dq_rest * scale, D, LEAD, REST, BLOCK_M)
