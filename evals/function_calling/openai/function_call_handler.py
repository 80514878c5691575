"""Answers OpenAI's tool calls by calling Python functions."""

from collections.abc import Callable, Sequence
from typing import Any

from gpt_from_scratch.evals.function_calling.openai.schemas import definition_of
from gpt_from_scratch.evals.function_calling.registry import ToolRegistry
from gpt_from_scratch.evals.function_calling.strict_schema import OPENAI
from gpt_from_scratch.evals.function_calling.tools import FunctionTool
from gpt_from_scratch.evals.providers.replies import ToolCall


class FunctionCallHandler:
    """Functions in, tool messages out; the options are `ToolRegistry`'s."""

    def __init__(self, functions: Sequence[Callable[..., Any] | FunctionTool], **options: Any) -> None:
        self._registry = ToolRegistry(functions, OPENAI, **options)
        self._tools = [{"type": "function", "function": definition_of(schema)} for schema in self._registry.schemas]

    @property
    def has_strict_tools(self) -> bool:
        return any(schema.strict for schema in self._registry.schemas)

    def get_schema_for_tools_arg(self) -> list[dict[str, Any]]:
        """The `tools` argument of `chat.completions.create`."""
        return self._tools

    def resolve(self, tool_call: Any) -> dict[str, Any]:
        """The tool message that answers a tool call: its result, or the error as JSON."""
        return self.answer(ToolCall(tool_call.id, tool_call.function.name, tool_call.function.arguments))

    def answer(self, call: ToolCall) -> dict[str, Any]:
        """`resolve`, for a call in our own type."""
        result = self._registry.resolve(call.name, call.arguments)
        return {"role": "tool", "tool_call_id": call.id, "content": result.content}

    def _resolve_function_call(self, tool_call: Any) -> Any:
        """The function's own result; raises what `ToolRegistry.call` does."""
        return self._registry.call(tool_call.function.name, tool_call.function.arguments)
