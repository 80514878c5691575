"""Defects that parity must catch in the op's kernels: masks, scales, missing terms, loads and stores out of bounds."""

from gpt_from_scratch.kernels.spec import Fault

FAULTS = (
    Fault("padded-mean", "triton_rms", "axis=1) / WIDTH + eps", "axis=1) / BLOCK + eps", "width-97"),
    Fault("eps", "triton_rms", "/ WIDTH + eps)", "/ WIDTH)", "zero-row"),
    Fault("along", "triton_rms", "g - normed * along[:, None]", "g", "width-97"),
    Fault("weight", "triton_rms", "g = dy * weight[None, :]", "g = dy", "width-97"),
    Fault("one-tile", "triton_rms", "tl.cdiv(rows, ROWS), tl.num_programs(0)", "tl.num_programs(0)", "rows-1025"),
    Fault("heads", "triton_rms", "(outer % middle)", "0 * (outer % middle)", "heads"),
    Fault(
        "load-row",
        "triton_rms",
        "inside = (row < rows)[:, None] & (column < WIDTH)[None, :]\n    return",
        "inside = (row < rows + 1)[:, None] & (column < WIDTH)[None, :]\n    return",
        "rows-33",
    ),
    Fault(
        "store",
        "triton_rms",
        "y.to(y_ptr.dtype.element_ty), mask=inside",
        "y.to(y_ptr.dtype.element_ty), mask=(row < rows)[:, None]",
        "width-97",
    ),
)
