"""The spec of add_layer_norm, whose kernels are layer_norm's."""

from typing import Any

from gpt_from_scratch.kernels.ops.add_layer_norm.benchmark import GOALS, LARGE, SMALL, in_a_model, outside
from gpt_from_scratch.kernels.ops.add_layer_norm.faults import FAULTS
from gpt_from_scratch.kernels.ops.layer_norm import spec as plain
from gpt_from_scratch.kernels.spec import Draw, ModelShape, Spec


def example(shape: ModelShape, batch: int, length: int, draw: Draw) -> dict[str, Any]:
    """layer_norm's, and what a layer adds."""
    arguments = plain.example(shape, batch, length, draw)
    return {"x": arguments.pop("x"), "residual": draw.activations(batch, length, shape.n_embd), **arguments}


SPEC = Spec(
    example=example,
    calls=lambda shape: 2 * shape.n_layer,
    work=in_a_model,
    small=SMALL,
    large=LARGE,
    outside=outside,
    goals=GOALS,
    faults=FAULTS,
)
