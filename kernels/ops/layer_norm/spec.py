"""The spec of layer_norm."""

from typing import Any

from gpt_from_scratch.kernels.ops.layer_norm.benchmark import GOALS, LARGE, SMALL, TUNING, in_a_model, outside
from gpt_from_scratch.kernels.ops.layer_norm.configurations import LINES
from gpt_from_scratch.kernels.ops.layer_norm.faults import FAULTS
from gpt_from_scratch.kernels.spec import Draw, ModelShape, Spec


def example(shape: ModelShape, batch: int, length: int, draw: Draw) -> dict[str, Any]:
    """The embeddings, and parameters in fp32."""
    return {
        "x": draw.activations(batch, length, shape.n_embd),
        "weight": draw.parameter(shape.n_embd) + 1,
        "bias": draw.parameter(shape.n_embd) if shape.bias else None,
    }


SPEC = Spec(
    example=example,
    calls=lambda shape: 1,
    between_blocks=True,
    work=in_a_model,
    small=SMALL,
    large=LARGE,
    outside=outside,
    goals=GOALS,
    lines=LINES,
    tuning=TUNING,
    faults=FAULTS,
)
