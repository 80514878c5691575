"""Defects that parity must catch in the op's kernels: masks, scales, missing terms, loads and stores out of bounds."""

from gpt_from_scratch.kernels.spec import Fault

FAULTS = (
    Fault("cubic", "triton_activation", "0.044715 * x * x * x", "0.044 * x * x * x", "gelu-width-128"),
    Fault("slope", "triton_activation", "2.0 * x * gate", "x * gate", "gelu-width-128"),
    Fault("derivative", "triton_activation", "dy * 2.0 * tl.maximum", "dy * tl.maximum", "relu2-width-128"),
    Fault("no-bias-behind", "triton_activation", "x += bias[None, :]", "pass", "gelu-width-128"),
    Fault("one-tile", "triton_activation", "tl.cdiv(rows, ROWS), tl.num_programs(0)", "tl.num_programs(0)", "rows-257"),
    Fault(
        "store",
        "triton_activation",
        "y.to(y_ptr.dtype.element_ty), mask=inside",
        "y.to(y_ptr.dtype.element_ty), mask=(column < width)[None, :]",
        "gelu-width-65",
    ),
    Fault("columns", "triton_activation", "tl.program_id(0) * width + column", "column", "rows-257"),
)
