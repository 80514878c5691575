"""Answers Anthropic's tool calls by calling Python functions."""

from collections.abc import Callable, Sequence
from typing import Any

from gpt_from_scratch.evals.function_calling.anthropic.schemas import definition_of
from gpt_from_scratch.evals.function_calling.registry import ToolRegistry
from gpt_from_scratch.evals.function_calling.strict_schema import ANTHROPIC
from gpt_from_scratch.evals.function_calling.tools import FunctionTool
from gpt_from_scratch.evals.providers.replies import ToolCall


class FunctionCallHandler:
    """Functions in, tool results out; the options are `ToolRegistry`'s."""

    def __init__(self, functions: Sequence[Callable[..., Any] | FunctionTool], **options: Any) -> None:
        self._registry = ToolRegistry(functions, ANTHROPIC, **({"strict": False} | options))
        self._tools = [definition_of(schema) for schema in self._registry.schemas]

    def get_schema_for_tools_arg(self) -> list[dict[str, Any]]:
        """The `tools` argument of `messages.create`."""
        return self._tools

    def resolve(self, tool_call: Any) -> dict[str, Any]:
        """The tool_result block that answers a tool_use block: its result, or the error as JSON."""
        return self.answer(ToolCall(tool_call.id, tool_call.name, tool_call.input))

    def answer(self, call: ToolCall) -> dict[str, Any]:
        """`resolve`, for a call in our own type. An empty result has no content: the API refuses empty texts."""
        result = self._registry.resolve(call.name, call.arguments)
        content = {"content": result.content} if result.content.strip() else {}
        return {"type": "tool_result", "tool_use_id": call.id, **content, "is_error": result.is_error}

    def _resolve_function_call(self, tool_call: Any) -> Any:
        """The function's own result; raises what `ToolRegistry.call` does."""
        return self._registry.call(tool_call.name, tool_call.input)
