"""Defects that parity must catch in the op's kernels: masks, scales, missing terms, loads and stores out of bounds."""

from gpt_from_scratch.kernels.spec import Fault

FAULTS = (
    Fault(
        "dtotal",
        "layer_norm.triton_norm",
        "if ADD:\n                dx +=",
        "if False:\n                dx +=",
        "width-97",
    ),
)
