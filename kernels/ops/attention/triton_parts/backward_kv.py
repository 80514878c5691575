"""The backward kernel of attention for dK and dV, which loops over the queries of a block of keys."""

from typing import no_type_check

import triton
import triton.language as tl

from gpt_from_scratch.kernels.ops.attention.triton_parts.ranges import blocks_of, queries_of
from gpt_from_scratch.kernels.ops.attention.triton_parts.tiles import load_tile, store_tile, tanh


@triton.jit
@no_type_check
def gather_dkv(  # noqa: C901 (constants choose, and what they leave out is not compiled)
    dk,
    dk_rest,
    dv,
    dv_rest,
    k,
    k_rest,
    v,
    v_rest,
    q_base,
    do_base,
    lse_base,
    delta_base,
    q_row,
    do_row,
    first,
    last,
    hole,
    gap,
    tq,
    key,
    offset,
    low,
    high,
    scale,
    cap,
    D: tl.constexpr,
    LEAD: tl.constexpr,
    REST: tl.constexpr,
    BLOCK_M: tl.constexpr,
    MASKED: tl.constexpr,
    BOUNDED: tl.constexpr,
    CAP: tl.constexpr,
    CHECK: tl.constexpr,
    PRECISION: tl.constexpr,
    DK: tl.constexpr,
    DV: tl.constexpr,
):
    """Add the queries from `first` to `last` to dK (without the scale) and dV; scores are held transposed, keys first.

    DK and DV say which of the two are wanted. Where BOUNDED, `low` and `high` are the first and last query that sees a key,
    and where MASKED as well, `gap` queries from `hole` on are left out, as in `attend`.
    """
    for start in range(first, last, BLOCK_M):
        if MASKED and BOUNDED:
            start += tl.where(start < hole, 0, gap)
        start = tl.multiple_of(start, BLOCK_M)
        q_at = q_base + tl.cast(start, tl.int64) * q_row
        do_at = do_base + tl.cast(start, tl.int64) * do_row
        row = start + tl.arange(0, BLOCK_M)
        q = load_tile(q_at, q_row, tq - start, D, 0, LEAD, BLOCK_M, CHECK)
        do = load_tile(do_at, do_row, tq - start, D, 0, LEAD, BLOCK_M, CHECK)
        if CHECK:
            lse = tl.load(lse_base + row, mask=row < tq, other=0.0)
            if DK:
                delta = tl.load(delta_base + row, mask=row < tq, other=0.0)
        else:
            lse = tl.load(lse_base + row)
            if DK:
                delta = tl.load(delta_base + row)
        s = tl.dot(k, tl.trans(q), input_precision=PRECISION)
        if DK:
            dp = tl.dot(v, tl.trans(do), input_precision=PRECISION)
        if REST:
            q_rest = load_tile(q_at, q_row, tq - start, D, LEAD, REST, BLOCK_M, CHECK)
            do_rest = load_tile(do_at, do_row, tq - start, D, LEAD, REST, BLOCK_M, CHECK)
            s = tl.dot(k_rest, tl.trans(q_rest), s, input_precision=PRECISION)
            if DK:
                dp = tl.dot(v_rest, tl.trans(do_rest), dp, input_precision=PRECISION)
        if CAP:
            bent = tanh(s * scale)
            p = tl.exp2(bent * cap - lse[None, :])
        else:
            p = tl.exp2(s * scale - lse[None, :])
        if MASKED:
            if BOUNDED:
                p = tl.where((row[None, :] >= low[:, None]) & (row[None, :] <= high[:, None]), p, 0.0)
            else:
                p = tl.where(key[:, None] <= row[None, :] + offset, p, 0.0)
        if DK:
            ds = p * (dp - delta[None, :])
            if CAP:
                ds *= 1 - bent * bent
            ds = ds.to(q.dtype)
        p = p.to(do.dtype)
        if DV:
            dv = tl.dot(p, do, dv, input_precision=PRECISION)
        if DK:
            dk = tl.dot(ds, q, dk, input_precision=PRECISION)
        if REST:
            if DV:
                dv_rest = tl.dot(p, do_rest, dv_rest, input_precision=PRECISION)
            if DK:
                dk_rest = tl.dot(ds, q_rest, dk_rest, input_precision=PRECISION)
    return dk, dk_rest, dv, dv_rest


@triton.jit
@no_type_check
def attention_backward_kv(
    q_ptr,
    k_ptr,
    v_ptr,
    lengths_ptr,
    starts_ptr,
    ends_ptr,
    do_ptr,
    lse_ptr,
    delta_ptr,
    dk_ptr,
    dv_ptr,
    q_batch,
    q_head,
    q_row,
    k_batch,
    k_head,
    k_row,
    v_batch,
    v_head,
    v_row,
    do_batch,
    do_head,
    do_row,
    dk_batch,
    dk_head,
    dk_row,
    dv_batch,
    dv_head,
    dv_row,
    kv_heads,
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
    DK: tl.constexpr,
    DV: tl.constexpr,
):
    """dK and dV of BLOCK_N keys of one key-value head, summed over the query heads that it serves.

    DK and DV say which of the two are wanted; delta is read for DK alone.
    """
    blocks = tl.cdiv(tk, BLOCK_N)
    block = tl.program_id(0) % blocks  # the first keys have the most causal queries: they come first
    batch = tl.program_id(0) // blocks // kv_heads
    kv_head = tl.program_id(0) // blocks % kv_heads
    first_key = block * BLOCK_N
    b, h, first = batch.to(tl.int64), kv_head.to(tl.int64), first_key.to(tl.int64)
    length = tk
    if LENGTHS:
        length = tl.load(lengths_ptr + batch).to(tl.int32)
    valid = tl.minimum(tl.maximum(length, 0), tk)
    offset = length - tq
    key = first_key + tl.arange(0, BLOCK_N)
    k_at = k_ptr + b * k_batch + h * k_head + first * k_row
    v_at = v_ptr + b * v_batch + h * v_head + first * v_row
    k = load_tile(k_at, k_row, valid - first_key, D, 0, LEAD, BLOCK_N, LENGTHS or not EVEN_K)
    v = load_tile(v_at, v_row, valid - first_key, D, 0, LEAD, BLOCK_N, LENGTHS or not EVEN_K)
    dk = tl.zeros([BLOCK_N, LEAD], tl.float32)
    dv = tl.zeros([BLOCK_N, LEAD], tl.float32)
    if REST:
        k_rest = load_tile(k_at, k_row, valid - first_key, D, LEAD, REST, BLOCK_N, LENGTHS or not EVEN_K)
        v_rest = load_tile(v_at, v_row, valid - first_key, D, LEAD, REST, BLOCK_N, LENGTHS or not EVEN_K)
        dk_rest = tl.zeros([BLOCK_N, REST], tl.float32)
        dv_rest = tl.zeros([BLOCK_N, REST], tl.float32)
    else:
        k_rest = k
        v_rest = v
        dk_rest = dk
        dv_rest = dv

    # Queries from `begin` on see some key of the block, those from `full` to `stop` see all of it, and none does from `end` on.
    BOUNDED: tl.constexpr = DOCUMENTS or WINDOW
    low = key
    high = key
    begin = 0
    full = 0
    gap = 0
    stop = tl.where(first_key < valid, tq, 0)
    if BOUNDED:
        documents = b * tk
        low, high = queries_of(
            key, starts_ptr + documents, ends_ptr + documents, tk, tq, offset, window, CAUSAL, DOCUMENTS, WINDOW
        )
        begin, full, stop, end = blocks_of(low, high, key < valid, tq, BLOCK_M, 0)
        gap = stop - full
        end -= gap
    elif CAUSAL:
        begin = tl.maximum(first_key - offset, 0) // BLOCK_M * BLOCK_M
        full = tl.cdiv(tl.maximum(first_key + BLOCK_N - 1 - offset, 0), BLOCK_M) * BLOCK_M
        full = tl.minimum(full, tl.cdiv(tq, BLOCK_M) * BLOCK_M)
        end = tl.minimum(full, stop)
    for member in range(group):
        query_head = h * group + member
        q_base = q_ptr + b * q_batch + query_head * q_head
        do_base = do_ptr + b * do_batch + query_head * do_head
        sums = (b * kv_heads * group + query_head) * tq
        if CAUSAL or BOUNDED:
            dk, dk_rest, dv, dv_rest = gather_dkv(
                dk, dk_rest, dv, dv_rest, k, k_rest, v, v_rest, q_base, do_base, lse_ptr + sums, delta_ptr + sums,
                q_row, do_row, begin, end, full, gap, tq, key, offset, low, high, log2_scale, cap,
                D, LEAD, REST, BLOCK_M, True, BOUNDED, CAP, not EVEN_Q, PRECISION, DK, DV,
            )  # fmt: skip
        dk, dk_rest, dv, dv_rest = gather_dkv(
            dk, dk_rest, dv, dv_rest, k, k_rest, v, v_rest, q_base, do_base, lse_ptr + sums, delta_ptr + sums,
            q_row, do_row, full, stop, full, gap, tq, key, offset, low, high, log2_scale, cap,
            D, LEAD, REST, BLOCK_M, False, BOUNDED, CAP, not EVEN_Q, PRECISION, DK, DV,
        )  # fmt: skip

    # Columns of p beyond the valid keys held exp2(-lse), which touched only their own rows of dK and dV.
    dk = tl.where((key < valid)[:, None], dk * scale, 0.0)
    dv = tl.where((key < valid)[:, None], dv, 0.0)
    dk_at = dk_ptr + b * dk_batch + h * dk_head + first * dk_row
    dv_at = dv_ptr + b * dv_batch + h * dv_head + first * dv_row
    if DK:
        store_tile(dk_at, dk_row, tk - first_key, dk, D, 0, LEAD, BLOCK_N)
        if REST:
            dk_rest = tl.where((key < valid)[:, None], dk_rest * scale, 0.0)
            store_tile(dk_at, dk_row, tk - first_key, dk_rest, D, LEAD, REST, BLOCK_N)
    if DV:
        store_tile(dv_at, dv_row, tk - first_key, dv, D, 0, LEAD, BLOCK_N)
        if REST:
            dv_rest = tl.where((key < valid)[:, None], dv_rest, 0.0)
            store_tile(dv_at, dv_row, tk - first_key, dv_rest, D, LEAD, REST, BLOCK_N)
