"""The spec of linear_activation."""

from typing import Any

from gpt_from_scratch.kernels.ops.linear_activation.benchmark import GOALS, SMALL, TUNING, in_a_model, outside
from gpt_from_scratch.kernels.ops.linear_activation.configurations import LINES
from gpt_from_scratch.kernels.ops.linear_activation.faults import FAULTS
from gpt_from_scratch.kernels.spec import Draw, ModelShape, Spec


def example(shape: ModelShape, batch: int, length: int, draw: Draw) -> dict[str, Any]:
    """An MLP's input, and parameters in fp32."""
    return {
        "x": draw.activations(batch, length, shape.n_embd),
        "weight": draw.parameter(shape.mlp_size, shape.n_embd, std=0.02),
        "bias": draw.parameter(shape.mlp_size) if shape.has_mlp_bias else None,
        "activation": shape.activation,
    }


SPEC = Spec(
    example=example,
    calls=lambda shape: 0 if shape.activation == "swiglu" else shape.n_layer,
    work=in_a_model,
    small=SMALL,
    outside=outside,
    goals=GOALS,
    lines=LINES,
    tuning=TUNING,
    faults=FAULTS,
)
