"""The spec of attention."""

from typing import Any

from gpt_from_scratch.kernels.ops.attention.benchmark import GOALS, LARGE, SMALL, TUNING, in_a_model, outside
from gpt_from_scratch.kernels.ops.attention.configurations import LINES
from gpt_from_scratch.kernels.ops.attention.faults import FAULTS
from gpt_from_scratch.kernels.spec import Draw, ModelShape, Spec


def example(shape: ModelShape, batch: int, length: int, draw: Draw) -> dict[str, Any]:
    """Queries, keys and values lie in one packed projection."""
    heads = shape.n_head + 2 * shape.kv_heads
    packed = draw.activations(batch, length, heads, shape.head_size).transpose(1, 2)
    return dict(zip("qkv", packed.split([shape.n_head, shape.kv_heads, shape.kv_heads], dim=1), strict=True))


SPEC = Spec(
    example=example,
    calls=lambda shape: shape.n_layer,
    work=in_a_model,
    small=SMALL,
    large=LARGE,
    outside=outside,
    goals=GOALS,
    lines=LINES,
    tuning=TUNING,
    faults=FAULTS,
)
