"""The subset of JSON Schema that a vendor takes in strict mode."""

from typing import Any

from gpt_from_scratch.evals.function_calling.strict_schema import FORMATS

TYPES = {"string", "number", "integer", "boolean", "object", "array", "null"}
KEYWORDS = {
    **dict.fromkeys(("type", "enum", "anyOf", "items", "properties", "required", "additionalProperties"), True),
    **dict.fromkeys(("description", "$ref", "$defs", "pattern", "format", "multipleOf", "minItems", "maxItems"), True),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), True),
}


def assert_strict(schema: Any, root: dict[str, Any], *, is_root: bool = True, depth: int = 1) -> None:
    """OpenAI's rules for strict schemas, written from its guide and not from our code."""
    assert depth <= 10
    assert schema.keys() <= KEYWORDS.keys(), schema.keys() - KEYWORDS.keys()
    if is_root:
        assert schema["type"] == "object" and "anyOf" not in schema
        for definition in schema.get("$defs", {}).values():
            assert_strict(definition, root, is_root=False, depth=depth)
    else:
        assert "$defs" not in schema
    if "$ref" in schema:
        assert schema.keys() == {"$ref"}, "nothing may stand beside $ref"
        assert schema["$ref"].removeprefix("#/$defs/") in root["$defs"]
        return
    assert {"type", "anyOf", "enum"} & schema.keys(), f"no type: {schema}"
    if "anyOf" in schema:
        assert len(schema["anyOf"]) >= 2 and not {"type", "properties", "items"} & schema.keys()
        for choice in schema["anyOf"]:
            assert_strict(choice, root, is_root=False, depth=depth)
        return
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    assert set(types) <= TYPES
    if "enum" in schema:
        assert schema["enum"]
    if "format" in schema:
        assert schema["format"] in FORMATS
    if "object" in types:
        assert schema["additionalProperties"] is False
        assert schema["required"] == list(schema["properties"])
        for value in schema["properties"].values():
            assert_strict(value, root, is_root=False, depth=depth + 1)
    else:
        assert not {"properties", "required", "additionalProperties"} & schema.keys()
    if "array" in types:
        assert_strict(schema["items"], root, is_root=False, depth=depth + 1)
