"""A JSON schema in the subset that the vendors' constrained decoding accepts, or the reason why it has none.

Sources: OpenAI's guide to structured outputs and Anthropic's to strict tool use. Both want closed objects; OpenAI wants
every property required, and we do the same for both. What only restricts values further (a length, a format that is not
known) is moved into the description: arguments are validated before the call anyhow.
"""

import dataclasses
import json
import re
from typing import Any

ANNOTATIONS = {"title", "default", "examples", "deprecated", "readOnly", "writeOnly", "discriminator"}
RESTRICTIONS = {
    *("minLength", "maxLength", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("multipleOf", "minItems", "maxItems", "uniqueItems"),
}
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
STRUCTURE = {"type", "enum", "anyOf", "items", "properties", "required", "additionalProperties", "description", "$ref"}


@dataclasses.dataclass(frozen=True)
class Dialect:
    """One vendor's subset: the restrictions it knows, and its limits."""

    vendor: str
    restrictions: frozenset[str]
    recursion: bool
    most_properties: int = 5000
    most_nesting: int = 10
    most_enum_values: int = 1000


OPENAI = Dialect("OpenAI", frozenset(RESTRICTIONS - {"minLength", "maxLength", "uniqueItems"}), recursion=True)
ANTHROPIC = Dialect("Anthropic", frozenset({"format"}), recursion=False)


class NotExpressible(ValueError):
    """The strict subset has no form for a schema; the message says where and why."""


def to_strict(schema: dict[str, Any], dialect: Dialect, *, optional: set[str], nullable: set[str]) -> dict[str, Any]:
    """The strict form of a function's parameters.

    schema: an object schema as pydantic writes it
    optional: the parameters with a default: they become required, and the default goes into the description
    nullable: those of them that null stands for the default of, since None is no value of theirs

    Raises:
        NotExpressible: an open dict, Any, a tuple, a nested default, too deep, or too large.
    """
    return _Writer(schema.get("$defs", {}), dialect).root(schema, optional, nullable)


class _Writer:
    def __init__(self, definitions: dict[str, Any], dialect: Dialect) -> None:
        self.definitions = definitions
        self.dialect = dialect
        self.properties = 0
        self.enum_values = 0
        self.kept: dict[str, Any] = {}
        """Definitions that are referred to by themselves, and so cannot be written in place."""

    def root(self, schema: dict[str, Any], optional: set[str], nullable: set[str]) -> dict[str, Any]:
        properties = {}
        for name, value in schema.get("properties", {}).items():
            written = self.node(value, f"parameter {name!r}", (), 1)
            if name in nullable:
                written = _or_null(written, ", ".join(["optional; null means the default", *_default(value)]))
            elif name in optional:
                written = _described(written, " ".join(["default", *_default(value)]))
            properties[name] = written
        root = self.closed(properties)
        if self.kept:
            root["$defs"] = self.kept
        self.check_size()
        return root

    def closed(self, properties: dict[str, Any]) -> dict[str, Any]:
        self.properties += len(properties)
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def node(self, schema: dict[str, Any], where: str, inside: tuple[str, ...], depth: int) -> dict[str, Any]:
        """The strict form of one schema. `inside`: the definitions being written, outermost first."""
        if depth > self.dialect.most_nesting:
            raise NotExpressible(
                f"{where} nests deeper than the {self.dialect.most_nesting} levels {self.dialect.vendor} allows"
            )
        if "$ref" in schema:
            return self.reference(schema, where, inside, depth)
        schema = {key: value for key, value in schema.items() if key not in ANNOTATIONS}
        if "oneOf" in schema:
            schema["anyOf"] = schema.pop("oneOf")
        if "const" in schema:
            schema["enum"] = [schema.pop("const")]
        self.check_keywords(schema, where)
        written = {key: value for key, value in schema.items() if key in ("type", "enum", "description")}
        for key in RESTRICTIONS & schema.keys():
            if key in self.dialect.restrictions and _is_known(key, schema[key]):
                written[key] = schema[key]
            else:
                written = _described(written, f"{key}: {schema[key]}")
        if "enum" in schema:
            self.enum_values += len(schema["enum"])
        if "anyOf" in schema:
            written["anyOf"] = [self.node(choice, where, inside, depth) for choice in schema["anyOf"]]
        elif schema.get("type") == "array":
            if "items" not in schema:
                raise NotExpressible(f"{where} is a list of anything; say of what, as in list[str]")
            written["items"] = self.node(schema["items"], f"an item of {where}", inside, depth + 1)
        elif schema.get("type") == "object":
            written |= self.object(schema, where, inside, depth)
        elif "type" not in schema and "enum" not in schema:
            raise NotExpressible(f"{where} may be anything; give it a type")
        return written

    def object(self, schema: dict[str, Any], where: str, inside: tuple[str, ...], depth: int) -> dict[str, Any]:
        if "properties" not in schema or schema.get("additionalProperties") not in (None, False):
            raise NotExpressible(
                f"{where} is a dict with open keys; take a dataclass, or a list of key and value pairs"
            )
        required = set(schema.get("required", []))
        properties = {}
        for name, value in schema["properties"].items():
            if name not in required and not ("default" in value and value["default"] is None):
                raise NotExpressible(f"field {name!r} of {where} has a default, and only a parameter's can be left out")
            properties[name] = self.node(value, f"field {name!r} of {where}", inside, depth + 1)
        return self.closed(properties)

    def reference(self, schema: dict[str, Any], where: str, inside: tuple[str, ...], depth: int) -> dict[str, Any]:
        """Definitions are written in place, since a reference may have no description beside it."""
        name = schema["$ref"].removeprefix("#/$defs/")
        if name in inside:
            if not self.dialect.recursion:
                raise NotExpressible(f"{where} contains itself, which {self.dialect.vendor} does not allow")
            if name not in self.kept:
                self.kept[name] = {}  # first, so that the definition can refer to itself
                self.kept[name] = self.node(self.definitions[name], f"type {name}", (name,), depth)
            return {"$ref": f"#/$defs/{name}"}
        siblings = {key: value for key, value in schema.items() if key != "$ref"}
        return self.node(self.definitions[name] | siblings, where, (*inside, name), depth)

    def check_keywords(self, schema: dict[str, Any], where: str) -> None:
        unknown = schema.keys() - STRUCTURE - RESTRICTIONS
        if "prefixItems" in unknown:
            raise NotExpressible(f"{where} is a tuple; take a dataclass or a list")
        if unknown:
            raise NotExpressible(f"{where} needs {', '.join(sorted(unknown))}, which the strict subset lacks")

    def check_size(self) -> None:
        if self.properties > self.dialect.most_properties:
            raise NotExpressible(
                f"{self.properties} properties are more than the {self.dialect.most_properties} allowed"
            )
        if self.enum_values > self.dialect.most_enum_values:
            raise NotExpressible(
                f"{self.enum_values} enum values are more than the {self.dialect.most_enum_values} allowed"
            )


def _is_known(keyword: str, value: Any) -> bool:
    """Whether the vendors' grammars have a form for a restriction's value: of patterns they know the regular ones."""
    if keyword == "pattern":
        return not re.search(r"\(\?(?!:)|\\[1-9kbBAZzpP]|[*+?}][+]", value)
    return keyword != "format" or value in FORMATS


def _or_null(schema: dict[str, Any], note: str) -> dict[str, Any]:
    """`schema` or null; the description moves outside, where models read it."""
    inner = {key: value for key, value in schema.items() if key != "description"}
    outer = _described({key: value for key, value in schema.items() if key == "description"}, note)
    if isinstance(inner.get("type"), str) and not {"enum", "properties", "items", "anyOf"} & inner.keys():
        return {**inner, "type": [inner["type"], "null"], **outer}
    choices = inner["anyOf"] if inner.keys() == {"anyOf"} else [inner]
    return {"anyOf": [*choices, {"type": "null"}], **outer}


def _described(schema: dict[str, Any], note: str) -> dict[str, Any]:
    return {**schema, "description": f"{schema.get('description', '')} ({note})".strip()}


def _default(schema: dict[str, Any]) -> list[str]:
    """The default as JSON, in a list; empty where JSON has no form for it."""
    return [json.dumps(schema["default"], ensure_ascii=False)] if "default" in schema else []
