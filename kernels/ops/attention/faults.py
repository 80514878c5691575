"""Defects that parity must catch in the op's kernels: masks, scales, missing terms, loads and stores out of bounds."""

from gpt_from_scratch.kernels.spec import Fault

FORWARD, BACKWARD_Q, BACKWARD_KV, DECODE = (
    f"attention.triton_parts.{name}" for name in ("forward", "backward_q", "backward_kv", "decode")
)
RANGES, TILES, PASSES = (f"attention.triton_parts.{name}" for name in ("ranges", "tiles", "passes"))

FAULTS = (
    Fault("diagonal", FORWARD, "key[None, :] <= query[:, None]", "key[None, :] < query[:, None]", "causal-d16"),
    Fault("start-aligned", RANGES, "offset = length - tq", "offset = 0 * length", "causal-1-of-64"),
    Fault("full-tiles", RANGES, "first_row + offset + 1, 0", "first_row + offset + 64, 0", "causal-t113"),
    Fault("diagonal-kv", BACKWARD_KV, "<= row[None, :] + offset", "< row[None, :] + offset", "causal-d16"),
    Fault("unmasked-kv", BACKWARD_KV, "first_key + BLOCK_N - 1 - offset", "first_key - offset", "causal-t113"),
    Fault(
        "lengths",
        RANGES,
        "length = tl.load(lengths_ptr + batch)",
        "length = tk + 0 * tl.load(lengths_ptr + batch)",
        "ragged",
    ),
    Fault("scale", FORWARD, "tl.exp2(s * factor - top", "tl.exp2(s * factor * 1.02 - top", "causal-t113"),
    Fault(
        "scale-dq",
        BACKWARD_Q,
        "store_tile(dq_at, dq_row, rows, dq * scale",
        "store_tile(dq_at, dq_row, rows, dq",
        "causal-d16",
    ),
    Fault("fade", FORWARD, "acc *= fade[:, None]", "acc *= 1.0", "causal-113-of-203"),
    Fault("once-more", FORWARD, "> LARGEST_SUM", "< 0", "early-peak"),
    Fault(
        "rest",
        FORWARD,
        "s = tl.dot(q_rest, tl.trans(k_rest), s,",
        "tl.dot(q_rest, tl.trans(k_rest), s,",
        "full-d80",
    ),
    Fault("delta", BACKWARD_Q, "(dp - delta[:, None])", "(dp)", "causal-d16"),
    Fault("delta-kv", BACKWARD_KV, "(dp - delta[None, :])", "(dp)", "causal-d16"),
    Fault("one-head", BACKWARD_KV, "for member in range(group)", "for member in range(1)", "multi-query"),
    Fault(
        "load-keys",
        TILES,
        "mask=(row < rows)[:, None], other=0.0",
        "mask=(row < BLOCK)[:, None], other=0.0",
        "causal-t97",
    ),
    Fault("load-head", TILES, "FIRST + WIDTH > D", "FIRST + WIDTH > D + 99", "causal-d40"),
    Fault(
        "load-sums",
        BACKWARD_KV,
        "delta = tl.load(delta_base + row, mask=row < tq, other=0.0)",
        "delta = tl.load(delta_base + row)",
        "causal-t97",
    ),
    Fault(
        "store",
        TILES,
        "mask=(row < rows)[:, None] & (column < D)[None, :])\n\n",
        "mask=(column < D)[None, :] & (row < BLOCK)[:, None])\n\n",
        "causal-t97",
    ),
    Fault("leak", RANGES, "mask=inside, other=tk))", "mask=inside, other=tk) - 1)", "documents"),
    Fault("leak-forward", FORWARD, "key[None, :] >= low[:, None]", "key[None, :] >= low[:, None] - 1", "documents"),
    Fault("leak-dq", BACKWARD_Q, "key[None, :] >= low[:, None]", "key[None, :] >= low[:, None] - 1", "documents"),
    Fault("leak-dkv", RANGES, "other=0) - 1 - offset", "other=0) - offset", "documents"),
    Fault("leak-full", RANGES, "mask=inside, other=0) - 1)", "mask=inside, other=0))", "documents-full"),
    Fault(
        "unknown-first", RANGES, "mask=key < tk, other=tk) - offset", "mask=key < tk, other=tk) * 0", "documents-full"
    ),
    Fault("window-long", RANGES, "position - window + 1", "position - window", "window-64"),
    Fault("window-short", RANGES, "position - window + 1", "position - window + 2", "window-64"),
    Fault("window-dkv", RANGES, "key + window - 1 - offset", "key + window - offset", "window-64"),
    Fault("window-after", RANGES, "position + window - 1", "position + window", "window-full"),
    Fault("window-after-dkv", RANGES, "key - window + 1 - offset", "key - window - offset", "window-full"),
    Fault(
        "unmasked",
        RANGES,
        "tl.cdiv(tl.max(tl.where(counts, first, 0), 0), BLOCK)",
        "(tl.max(tl.where(counts, first, 0), 0) // BLOCK)",
        "window-of-blocks",
    ),
    Fault(
        "block-skipped",
        RANGES,
        "limit), 0) // BLOCK * BLOCK\n    end",
        "limit), 0) // BLOCK * BLOCK + BLOCK\n    end",
        "window-of-blocks",
    ),
    Fault("gap-forward", FORWARD, "tl.where(start < hole, 0, gap)", "0", "window-of-blocks"),
    Fault("gap-dq", BACKWARD_Q, "tl.where(start < hole, 0, gap)", "0", "window-of-blocks"),
    Fault("gap-dkv", BACKWARD_KV, "tl.where(start < hole, 0, gap)", "0", "window-of-blocks"),
    Fault("split-bounds", DECODE, "begin += split * span", "begin = split * span", "window-decode"),
    Fault("split-short", DECODE, "end = tl.minimum(end, begin + span)", "end = end", "causal-3-of-799"),
    Fault("packed-head", DECODE, "kv_head * group + member", "kv_head * group", "decode-grouped"),
    Fault("packed-query", DECODE, "packed % tq, 0", "packed % tq * 0, 0", "decode-grouped-chunk"),
    Fault("splits-fade", DECODE, "out = out * fade", "out = out", "decode-many-splits"),
    Fault("cap", TILES, "(-1 / 3 + square", "(-1 / 4 + square", "softcap-large"),
    Fault("cap-dq", BACKWARD_Q, "ds *= 1 - bent * bent", "ds *= 1", "softcap"),
    Fault("cap-dkv", BACKWARD_KV, "ds *= 1 - bent * bent", "ds *= 1", "softcap"),
    Fault("sink", FORWARD, "total = tl.where(mine, total + 1, total)", "total = total * 1", "sinks"),
    Fault("sink-each-split", FORWARD, "mine = tl.program_id(1) == 0", "mine = tl.program_id(1) >= 0", "sinks-decode"),
    Fault(
        "sink-units", FORWARD, "tl.load(sink_ptr).to(tl.float32) * LOG2E", "tl.load(sink_ptr).to(tl.float32)", "sinks"
    ),
    Fault("sink-gradient", PASSES, "dsinks.copy_(-(p * delta)", "dsinks.copy_(0 * (p * delta)", "sinks"),
    Fault("sink-gradient-sum", PASSES, "(p * delta).sum((0, 2))", "(p * delta)[:1].sum((0, 2))", "sinks"),
)
