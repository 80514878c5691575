"""The spec of linear_cross_entropy."""

from typing import Any

from gpt_from_scratch.kernels.ops.linear_cross_entropy.benchmark import GOALS, SMALL, TUNING, in_a_model, outside
from gpt_from_scratch.kernels.ops.linear_cross_entropy.configurations import LINES
from gpt_from_scratch.kernels.ops.linear_cross_entropy.faults import FAULTS
from gpt_from_scratch.kernels.spec import Draw, ModelShape, Spec


def example(shape: ModelShape, batch: int, length: int, draw: Draw) -> dict[str, Any]:
    """The last hidden states, the head in fp32, and the targets."""
    return {
        "hidden": draw.activations(batch, length, shape.n_embd),
        "weight": draw.parameter(shape.vocab_size, shape.n_embd, std=0.02),
        "targets": draw.integers(shape.vocab_size, batch, length),
    }


SPEC = Spec(
    example=example,
    calls=lambda shape: 1,
    between_blocks=True,
    work=in_a_model,
    small=SMALL,
    outside=outside,
    goals=GOALS,
    lines=LINES,
    tuning=TUNING,
    faults=FAULTS,
)
