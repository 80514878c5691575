"""Strict JSON: NaN and infinities, which JSON lacks, are written as null."""

import json
import math
from collections.abc import Mapping
from typing import Any


def json_text(value: Any, **options: Any) -> str:
    """`value` as JSON; `options` are those of `json.dumps`.

    Raises:
        TypeError: something that JSON does not have.
    """
    try:
        return json.dumps(value, allow_nan=False, **options)
    except ValueError:  # rare, so that a line of metrics is not walked through twice
        return json.dumps(finite(value), allow_nan=False, **options)


def finite(value: Any) -> Any:
    """The same value with None in place of every number, in any depth, that is not finite."""
    if isinstance(value, dict):
        return {finite(key) if isinstance(key, float) else key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"model": {"n_layer": 4}} as {"model.n_layer": 4}."""
    result: dict[str, Any] = {}
    for key, value in document.items():
        nested = isinstance(value, Mapping) and value
        result |= flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return result
