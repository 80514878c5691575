"""Defects that parity must catch in the op's kernels: masks, scales, missing terms, loads and stores out of bounds."""

from gpt_from_scratch.kernels.spec import Fault

FAULTS = (
    Fault(
        "ignored", "triton_loss", "grad = tl.where(counts, ", "grad = tl.where(label == label, ", "mean-some-ignored"
    ),
    Fault("natural-log", "triton_loss", "tl.log2(total) * LN2", "tl.log2(total)", "vocabulary-65"),
    Fault("one-hot", "triton_loss", "slopes = p - tl.where(column == label, 1.0, 0.0)", "slopes = p", "vocabulary-65"),
    Fault("cap", "triton_loss", "slopes *= 1 - bent * bent", "slopes *= 1", "mean-softcap"),
    Fault(
        "cap-padding", "triton_loss", 'tanh(x / cap) * cap, float("-inf"))', "tanh(x / cap) * cap, 0.0)", "mean-softcap"
    ),
    Fault("z-loss", "triton_loss", "loss += z_loss * lse * lse", "loss += z_loss * lse", "mean-z-loss"),
    Fault("z-loss-slope", "triton_loss", "p *= 1 + 2 * z_loss * lse", "p *= 1", "mean-z-loss"),
    Fault("smoothing", "triton_loss", "picked - everything / VOCABULARY", "picked", "mean-smoothing"),
    Fault("smoothing-slope", "triton_loss", "p - smoothing / VOCABULARY -", "p -", "mean-smoothing"),
    Fault("weights", "triton_loss", "factor = tl.load(upstream_ptr + row)", "factor = 1.0", "mean-weights"),
    Fault(
        "load-logits",
        "triton_loss",
        'mask=column < VOCABULARY, other=float("-inf")',
        "mask=column < VOCABULARY + BLOCK",
        "vocabulary-1000",
    ),
)
