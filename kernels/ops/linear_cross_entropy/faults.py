"""Defects that parity must catch in the op's kernels: masks, scales, missing terms, loads and stores out of bounds."""

from gpt_from_scratch.kernels.spec import Fault

FAULTS = (
    Fault(
        "ignored", "triton_loss", "grad = tl.where(counts, ", "grad = tl.where(label == label, ", "mean-some-ignored"
    ),
    Fault("natural-log", "triton_loss", "tl.log2(total) * LN2", "tl.log2(total)", "vocabulary-65"),
    Fault("one-hot", "triton_loss", "(p - tl.where(column == label, 1.0, 0.0))", "p", "vocabulary-65"),
    Fault(
        "load-logits",
        "triton_loss",
        'mask=column < VOCABULARY, other=float("-inf")',
        "mask=column < VOCABULARY + BLOCK",
        "vocabulary-1000",
    ),
)
