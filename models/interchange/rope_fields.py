"""The rotary positions of transformers' configs, which have two names for everything, as our settings, and back."""

import math
from collections.abc import Mapping
from typing import Any

from gpt_from_scratch.models.config import GPTConfig, RopeScaling
from gpt_from_scratch.models.interchange.fields import ConfigFields
from gpt_from_scratch.support.command_line.described import shown

KINDS = ("default", "linear", "llama3", "yarn")


def read_rope(fields: ConfigFields, base: float, context: int) -> dict[str, Any]:
    """Our `rope_base` and `rope_scaling`.

    Args:
        base: What the base is where no field says it.
        context: The model's.

    Raises:
        ValueError: a field is of a wrong type, or asks for rotary positions that are not ours, by name.
    """
    name = "rope_scaling" if fields.described.get("rope_scaling") else "rope_parameters"
    found = fields.given(name, dict[str, Any] | None, None) or {}
    rope = ConfigFields(found, fields.path)
    if nested := [key for key, value in found.items() if isinstance(value, Mapping)]:
        raise fields.error(f"{name}.{nested[0]}: positions that differ from layer to layer are not supported")
    for place in (fields, rope):
        place.only("partial_rotary_factor", None, 1.0, 1, of="ours")
    base = float(rope.given("rope_theta", float, fields.given("rope_theta", float, base)))
    kind = found.get("rope_type", found.get("type", KINDS[0]))
    if kind not in KINDS:
        raise fields.error(f"{name}: rope_type is {shown(kind)}; supported are {', '.join(KINDS)}")
    if kind == "default":
        return {"rope_base": base}
    if kind == "linear":
        return {"rope_base": base, "rope_scaling": RopeScaling("linear", rope.required("factor", float))}
    outside = fields.given("original_max_position_embeddings", int | None, None)
    learned = outside or rope.given("original_max_position_embeddings", int, context)
    if kind == "llama3":
        turns = {"slow_turns": "low_freq_factor", "fast_turns": "high_freq_factor"}
        scaling: dict[str, Any] = {ours: rope.required(theirs, float) for ours, theirs in turns.items()}
        scaling["factor"] = rope.required("factor", float)
    else:
        scaling = _yarn(rope, context / learned)
    return {"rope_base": base, "rope_scaling": RopeScaling(kind, learned_context=learned, **scaling)}


def _yarn(rope: ConfigFields, ratio: float) -> dict[str, Any]:
    optional = {
        name: rope.given(name, float | None, None)
        for name in ("factor", "attention_factor", "mscale", "mscale_all_dim", "beta_fast", "beta_slow")
    }
    factor = ratio if optional["factor"] is None else optional["factor"]

    def spread(part: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * part * math.log(factor) + 1.0

    amplitude, one, other = (optional[name] for name in ("attention_factor", "mscale", "mscale_all_dim"))
    if amplitude is None:
        amplitude = spread(one) / spread(other) if one and other else spread(1.0)
    return {
        "factor": factor,
        "amplitude": amplitude,
        "slow_turns": optional["beta_slow"] or 1.0,
        "fast_turns": optional["beta_fast"] or 32.0,
        "whole_dimensions": rope.given("truncate", bool, True),
    }


def describe_rope(config: GPTConfig) -> dict[str, Any]:
    """The field rope_parameters, as transformers 5 writes it."""
    scaling = config.rope_scaling
    described: dict[str, Any] = {"rope_theta": config.rope_base, "rope_type": "default"}
    if scaling.kind != "none":
        described |= {"rope_type": scaling.kind, "factor": scaling.factor}
    if scaling.kind in ("llama3", "yarn"):
        described["original_max_position_embeddings"] = scaling.learned_context
    if scaling.kind == "llama3":
        described |= {"low_freq_factor": scaling.slow_turns, "high_freq_factor": scaling.fast_turns}
    if scaling.kind == "yarn":
        described |= {
            "attention_factor": scaling.amplitude,
            "beta_slow": scaling.slow_turns,
            "beta_fast": scaling.fast_turns,
            "truncate": scaling.whole_dimensions,
        }
    return described
