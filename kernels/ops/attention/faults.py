"""Defects that parity must catch in the op's kernels: masks, scales, missing terms, loads and stores out of bounds."""

from gpt_from_scratch.kernels.spec import Fault

FAULTS = (
    Fault(
        "diagonal", "triton_forward", "key[None, :] <= query[:, None]", "key[None, :] < query[:, None]", "causal-d16"
    ),
    Fault("start-aligned", "triton_forward", "offset = length - tq", "offset = 0 * length", "causal-1-of-64"),
    Fault("full-tiles", "triton_forward", "first_row + offset + 1, 0", "first_row + offset + 64, 0", "causal-t113"),
    Fault("diagonal-kv", "triton_backward", "<= row[None, :] + offset", "< row[None, :] + offset", "causal-d16"),
    Fault("unmasked-kv", "triton_backward", "first_key + BLOCK_N - 1 - offset", "first_key - offset", "causal-t113"),
    Fault(
        "lengths",
        "triton_forward",
        "length = tl.load(lengths_ptr + batch)",
        "length = tk + 0 * tl.load(lengths_ptr + batch)",
        "ragged",
    ),
    Fault("scale", "triton_forward", "tl.exp2(s * scale - top", "tl.exp2(s * scale * 1.02 - top", "causal-t113"),
    Fault(
        "scale-dq",
        "triton_backward",
        "store_tile(dq_at, dq_row, rows, dq * scale",
        "store_tile(dq_at, dq_row, rows, dq",
        "causal-d16",
    ),
    Fault("fade", "triton_forward", "acc *= fade[:, None]", "acc *= 1.0", "causal-113-of-203"),
    Fault("once-more", "triton_forward", "> LARGEST_SUM", "< 0", "early-peak"),
    Fault(
        "rest",
        "triton_forward",
        "s = tl.dot(q_rest, tl.trans(k_rest), s,",
        "tl.dot(q_rest, tl.trans(k_rest), s,",
        "full-d80",
    ),
    Fault("delta", "triton_backward", "(dp - delta[:, None])", "(dp)", "causal-d16"),
    Fault("delta-kv", "triton_backward", "(dp - delta[None, :])", "(dp)", "causal-d16"),
    Fault("one-head", "triton_backward", "for member in range(group)", "for member in range(1)", "multi-query"),
    Fault(
        "load-keys",
        "triton_forward",
        "mask=(row < rows)[:, None], other=0.0",
        "mask=(row < BLOCK)[:, None], other=0.0",
        "causal-t97",
    ),
    Fault("load-head", "triton_forward", "FIRST + WIDTH > D", "FIRST + WIDTH > D + 99", "causal-d40"),
    Fault(
        "load-sums",
        "triton_backward",
        "delta = tl.load(delta_base + row, mask=row < tq, other=0.0)",
        "delta = tl.load(delta_base + row)",
        "causal-t97",
    ),
    Fault(
        "store",
        "triton_forward",
        "mask=(row < rows)[:, None] & (column < D)[None, :])\n\n",
        "mask=(column < D)[None, :] & (row < BLOCK)[:, None])\n\n",
        "causal-t97",
    ),
)
