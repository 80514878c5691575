"""Defects that parity must catch in the op's kernels: masks, scales, missing terms, loads and stores out of bounds."""

from gpt_from_scratch.kernels.spec import Fault

FAULTS = (
    Fault(
        "columns",
        "triton_norm",
        "centred = tl.where(inside, x - mean[:, None], 0.0)",
        "centred = x - mean[:, None]",
        "width-97",
    ),
    Fault("biased", "triton_norm", "axis=1) / WIDTH + eps", "axis=1) / (WIDTH - 1) + eps", "width-97"),
    Fault("mean-gx", "triton_norm", "- normed * mean_gx[:, None]", "", "width-97"),
    Fault("one-tile", "triton_norm", "tl.cdiv(rows, ROWS), tl.num_programs(0)", "tl.num_programs(0)", "rows-33"),
    Fault(
        "load-row",
        "triton_norm",
        "(row < rows)[:, None] & (column < WIDTH)[None, :]",
        "(row < rows + 1)[:, None] & (column < WIDTH)[None, :]",
        "rows-33",
    ),
)
