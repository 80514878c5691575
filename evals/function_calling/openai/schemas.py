"""A function's definition as OpenAI's `tools` argument has it."""

from collections.abc import Callable
from typing import Any

from gpt_from_scratch.evals.function_calling.strict_schema import OPENAI
from gpt_from_scratch.evals.function_calling.tools import FunctionTool, Strict, ToolSchema


def generate_json_schema_for_function(func: Callable[..., Any], *, strict: Strict = "auto") -> dict[str, Any]:
    """The value of `function` in a tool: name, description, parameters, and strict where it is.

    Raises:
        UnsupportedToolError: the function cannot be offered, or not strictly though `strict` is True.
    """
    return definition_of(FunctionTool(func).schema(strict, OPENAI))


def definition_of(schema: ToolSchema) -> dict[str, Any]:
    """A schema in OpenAI's words."""
    return {
        "name": schema.name,
        "description": schema.description,
        "parameters": schema.parameters,
        "strict": schema.strict,
    }
