"""The backward kernels of attention: one for dQ, one for dK and dV, each recomputing the probabilities from the saved sums.

No atomics: every gradient is the same from run to run. The price is that the scores are computed twice, seven products
where atomic additions into dQ would need five.
"""

from typing import no_type_check

import triton
import triton.language as tl

from gpt_from_scratch.kernels.ops.attention.triton_forward import key_range, load_tile, store_tile


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
    query,
    valid,
    scale,
    D: tl.constexpr,
    LEAD: tl.constexpr,
    REST: tl.constexpr,
    BLOCK_N: tl.constexpr,
    MASKED: tl.constexpr,
    CAUSAL: tl.constexpr,
    CHECK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Add the keys from `first` to `last` to dQ (without the scale)."""
    for start in range(first, last, BLOCK_N):
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
        p = tl.exp2(s * scale - lse[:, None])
        if MASKED:
            key = start + tl.arange(0, BLOCK_N)
            visible = (key < valid)[None, :]
            if CAUSAL:
                visible = visible & (key[None, :] <= query[:, None])
            p = tl.where(visible, p, 0.0)
        ds = (p * (dp - delta[:, None])).to(k.dtype)
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
    log2_scale,
    scale,
    D: tl.constexpr,
    LEAD: tl.constexpr,
    REST: tl.constexpr,
    CAUSAL: tl.constexpr,
    LENGTHS: tl.constexpr,
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
        query = first_row + row + offset
        dq, dq_rest = gather_dq(
            dq, dq_rest, q, q_rest, do, do_rest, lse, delta, k_base, v_base, k_row, v_row, 0, full, query, valid,
            log2_scale, D, LEAD, REST, BLOCK_N, False, CAUSAL, False, PRECISION,
        )  # fmt: skip
        if CAUSAL or LENGTHS or not EVEN_K:
            dq, dq_rest = gather_dq(
                dq, dq_rest, q, q_rest, do, do_rest, lse, delta, k_base, v_base, k_row, v_row, full, end, query, valid,
                log2_scale, D, LEAD, REST, BLOCK_N, True, CAUSAL, LENGTHS or not EVEN_K, PRECISION,
            )  # fmt: skip
        dq_at = dq_ptr + b * dq_batch + h * dq_head + first * dq_row
        store_tile(dq_at, dq_row, rows, dq * scale, D, 0, LEAD, BLOCK_M)
        if REST:
            store_tile(dq_at, dq_row, rows, dq_rest * scale, D, LEAD, REST, BLOCK_M)


@triton.jit
@no_type_check
def gather_dkv(
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
    tq,
    key,
    offset,
    scale,
    D: tl.constexpr,
    LEAD: tl.constexpr,
    REST: tl.constexpr,
    BLOCK_M: tl.constexpr,
    MASKED: tl.constexpr,
    CHECK: tl.constexpr,
    PRECISION: tl.constexpr,
    DK: tl.constexpr,
    DV: tl.constexpr,
):
    """Add the queries from `first` to `last` to dK (without the scale) and dV; scores are held transposed, keys first.

    DK and DV say which of the two are wanted.
    """
    for start in range(first, last, BLOCK_M):
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
        p = tl.exp2(s * scale - lse[None, :])
        if MASKED:
            p = tl.where(key[:, None] <= row[None, :] + offset, p, 0.0)
        if DK:
            ds = (p * (dp - delta[None, :])).to(q.dtype)
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
    log2_scale,
    scale,
    D: tl.constexpr,
    LEAD: tl.constexpr,
    REST: tl.constexpr,
    CAUSAL: tl.constexpr,
    LENGTHS: tl.constexpr,
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

    # Queries from `begin` on see some key of the block, those from `full` on see all of it.
    begin = 0
    full = 0
    if CAUSAL:
        begin = tl.maximum(first_key - offset, 0) // BLOCK_M * BLOCK_M
        full = tl.cdiv(tl.maximum(first_key + BLOCK_N - 1 - offset, 0), BLOCK_M) * BLOCK_M
        full = tl.minimum(full, tl.cdiv(tq, BLOCK_M) * BLOCK_M)
    stop = tl.where(first_key < valid, tq, 0)
    for member in range(group):
        query_head = h * group + member
        q_base = q_ptr + b * q_batch + query_head * q_head
        do_base = do_ptr + b * do_batch + query_head * do_head
        sums = (b * kv_heads * group + query_head) * tq
        if CAUSAL:
            dk, dk_rest, dv, dv_rest = gather_dkv(
                dk, dk_rest, dv, dv_rest, k, k_rest, v, v_rest, q_base, do_base, lse_ptr + sums, delta_ptr + sums,
                q_row, do_row, begin, tl.minimum(full, stop), tq, key, offset, log2_scale,
                D, LEAD, REST, BLOCK_M, True, not EVEN_Q, PRECISION, DK, DV,
            )  # fmt: skip
        dk, dk_rest, dv, dv_rest = gather_dkv(
            dk, dk_rest, dv, dv_rest, k, k_rest, v, v_rest, q_base, do_base, lse_ptr + sums, delta_ptr + sums,
            q_row, do_row, full, stop, tq, key, offset, log2_scale,
            D, LEAD, REST, BLOCK_M, False, not EVEN_Q, PRECISION, DK, DV,
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
