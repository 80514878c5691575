"""The spec of rms_norm."""

from typing import Any

from gpt_from_scratch.kernels.ops.rms_norm.benchmark import GOALS, LARGE, SMALL, TUNING, in_a_model, outside
from gpt_from_scratch.kernels.ops.rms_norm.configurations import LINES
from gpt_from_scratch.kernels.ops.rms_norm.faults import FAULTS
from gpt_from_scratch.kernels.spec import Draw, ModelShape, Spec


def example(shape: ModelShape, batch: int, length: int, draw: Draw) -> dict[str, Any]:
    """Queries and keys in one packed projection, without a weight."""
    heads = shape.n_head + 2 * shape.kv_heads
    packed = draw.activations(batch, length, heads, shape.head_size).transpose(1, 2)
    return {"x": packed[:, : shape.n_head + shape.kv_heads]}


SPEC = Spec(
    example=example,
    calls=lambda shape: shape.n_layer if shape.qk_norm else 0,
    work=in_a_model,
    small=SMALL,
    large=LARGE,
    outside=outside,
    goals=GOALS,
    lines=LINES,
    tuning=TUNING,
    faults=FAULTS,
)
