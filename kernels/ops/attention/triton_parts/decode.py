"""The kernels of decoding: a few queries on many keys, which are split among programs (Flash-Decoding, Dao et al. 2023).

The query heads that share a key-value head lie in one tile, which reads its keys once. How many keys each split has is
reckoned on the device from the row's own length, so that a cache of fixed capacity is shared out as well as a full one.
Nothing that grows with the text is a constant, nor specialised: one compiled kernel serves every length.
"""

from typing import no_type_check

import triton
import triton.language as tl

from gpt_from_scratch.kernels.ops.attention.triton_parts.forward import attend, nothing_yet
from gpt_from_scratch.kernels.ops.attention.triton_parts.ranges import blocks_of, key_range, keys_of


@triton.jit(do_not_specialize=["out_batch", "out_head", "out_row", "rows", "heads", "group", "tq", "tk", "window"])
@no_type_check
def attention_decode(
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
    rows,
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
    PRECISION: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Output and log2-sum-exp2 of BLOCK_M of the group · tq queries of one key-value head, over the keys of one split.

    The splits' outputs lie `rows` · D apart, as (rows, D) would. Packed query n is query n % tq of the group's head n // tq.
    """
    tiles = tl.cdiv(group * tq, BLOCK_M)
    batch = tl.program_id(0) // tiles // (heads // group)
    kv_head = tl.program_id(0) // tiles % (heads // group)
    split = tl.program_id(1)
    packed = tl.program_id(0) % tiles * BLOCK_M + tl.arange(0, BLOCK_M)
    counts = packed < group * tq
    member = tl.where(counts, packed // tq, 0)
    row = tl.where(counts, packed % tq, 0)
    head = kv_head * group + member
    q_at = q_ptr + batch.to(tl.int64) * q_batch + head.to(tl.int64) * q_head + row.to(tl.int64) * q_row
    k_base = k_ptr + batch.to(tl.int64) * k_batch + kv_head.to(tl.int64) * k_head
    v_base = v_ptr + batch.to(tl.int64) * v_batch + kv_head.to(tl.int64) * v_head

    offset, valid, _, _ = key_range(lengths_ptr, batch, 0, tq, tk, CAUSAL, LENGTHS, BLOCK_M, BLOCK_N)
    documents = batch.to(tl.int64) * tk
    low, last = keys_of(
        row + offset, starts_ptr + documents, ends_ptr + documents, tk, valid, window, CAUSAL, DOCUMENTS, WINDOW
    )
    begin, _, _, end = blocks_of(low, last, counts, valid, BLOCK_N, 0)
    span = tl.cdiv(tl.cdiv(tl.maximum(end - begin, 0), tl.num_programs(1)), BLOCK_N) * BLOCK_N
    begin += split * span
    end = tl.minimum(end, begin + span)

    column = tl.arange(0, LEAD)
    q = tl.load(q_at[:, None] + column[None, :], mask=counts[:, None] & (column < D)[None, :], other=0.0)
    acc = tl.zeros([BLOCK_M, LEAD], tl.float32)
    q_rest = q
    acc_rest = acc
    if REST:
        column_rest = LEAD + tl.arange(0, REST)
        rest = counts[:, None] & (column_rest < D)[None, :]
        q_rest = tl.load(q_at[:, None] + column_rest[None, :], mask=rest, other=0.0)
        acc_rest = tl.zeros([BLOCK_M, REST], tl.float32)
    top, total = nothing_yet(sinks_ptr + head, BLOCK_M, SINKS)
    acc, acc_rest, top, total = attend(
        acc, acc_rest, top, total, q, q_rest, k_base, v_base, k_row, v_row, begin, end, end, 0, low, last, valid,
        scale, cap, D, LEAD, REST, BLOCK_N, True, True, CAUSAL, True, CAP, True, PRECISION,
    )  # fmt: skip

    norm = tl.where(total == 0, 1.0, 1 / total)[:, None]
    out_at = out_ptr + split.to(tl.int64) * rows * D + batch.to(tl.int64) * out_batch + head.to(tl.int64) * out_head
    out_at = (out_at + row * out_row)[:, None]
    kind = out_ptr.dtype.element_ty
    tl.store(out_at + column[None, :], (acc * norm).to(kind), mask=counts[:, None] & (column < D)[None, :])
    if REST:
        tl.store(out_at + column_rest[None, :], (acc_rest * norm).to(kind), mask=rest)
    lse_at = lse_ptr + split.to(tl.int64) * rows + (batch.to(tl.int64) * heads + head) * tq + row
    tl.store(lse_at, top + tl.log2(total), mask=counts)


@triton.jit(do_not_specialize=["out_batch", "out_head", "out_row", "rows", "heads", "tq", "splits"])
@no_type_check
def combine_splits(
    partial_ptr,
    partial_lse_ptr,
    out_ptr,
    lse_ptr,
    out_batch,
    out_head,
    out_row,
    rows,
    heads,
    tq,
    splits,
    D: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_S: tl.constexpr,
):
    """One query row of one head: the splits' outputs weighted by their sums. The partial outputs are (splits, rows, D)."""
    program = tl.program_id(0)
    row = program.to(tl.int64)
    column = tl.arange(0, BLOCK_D)
    top = tl.full([1], float("-inf"), tl.float32)
    total = tl.zeros([1], tl.float32)
    out = tl.zeros([BLOCK_D], tl.float32)
    for first in tl.range(0, splits, BLOCK_S):
        split = first + tl.arange(0, BLOCK_S)
        lse = tl.load(partial_lse_ptr + split.to(tl.int64) * rows + row, mask=split < splits, other=float("-inf"))
        higher = tl.maximum(top, tl.max(lse, 0))
        safe = tl.where(higher == float("-inf"), 0.0, higher)  # no split has seen a key yet
        weight = tl.exp2(lse - safe)
        fade = tl.exp2(top - safe)
        at = (split.to(tl.int64)[:, None] * rows + row) * D + column[None, :]
        partial = tl.load(partial_ptr + at, mask=(split < splits)[:, None] & (column < D)[None, :], other=0.0)
        out = out * fade + tl.sum(partial * weight[:, None], 0)
        total = total * fade + tl.sum(weight, 0)
        top = higher
    out = out / tl.where(total == 0, 1.0, total)
    # Divided as int32: GPUs have no division of int64, and need hundreds of instructions.
    batch = program // tq // heads
    out_at = out_ptr + batch.to(tl.int64) * out_batch + program // tq % heads * out_head + program % tq * out_row
    tl.store(out_at + column, out.to(out_ptr.dtype.element_ty), mask=column < D)
    tl.store(lse_ptr + row + tl.arange(0, 1), top + tl.log2(total))
