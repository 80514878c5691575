"""A function's definition as Anthropic's `tools` argument has it."""

from collections.abc import Callable
from typing import Any

from gpt_from_scratch.evals.function_calling.strict_schema import ANTHROPIC
from gpt_from_scratch.evals.function_calling.tools import FunctionTool, Strict, ToolSchema


def generate_json_schema_for_function(func: Callable[..., Any], *, strict: Strict = False) -> dict[str, Any]:
    """A tool: name, description, input_schema, and strict where it is asked for.

    Ordinary schemas are the default here: Claude follows them well, and the older models know no strict tools.

    Raises:
        UnsupportedToolError: the function cannot be offered, or not strictly though `strict` is True.
    """
    return definition_of(FunctionTool(func).schema(strict, ANTHROPIC))


def definition_of(schema: ToolSchema) -> dict[str, Any]:
    """A schema in Anthropic's words."""
    tool = {"name": schema.name, "description": schema.description, "input_schema": schema.parameters}
    return {**tool, "strict": True} if schema.strict else tool
