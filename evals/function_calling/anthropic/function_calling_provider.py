"""Anthropic's models with Python functions.

provider = AnthropicFunctionCallingProvider(functions=[get_weather])
provider.execute("function-calling-claude-haiku-4-5", Request(prompt=[Message("user", "...")], context=None)).txt
"""

from collections.abc import Callable, Sequence
from typing import Any

from gpt_from_scratch.evals.function_calling.anthropic.function_call_handler import FunctionCallHandler
from gpt_from_scratch.evals.function_calling.loop import FunctionCallingProvider, MaxIterationsReachedError
from gpt_from_scratch.evals.function_calling.tools import FunctionTool
from gpt_from_scratch.evals.protocol.messages import Request, TextOptions
from gpt_from_scratch.evals.providers import anthropic_provider
from gpt_from_scratch.evals.providers.anthropic_provider import AnthropicProvider
from gpt_from_scratch.evals.providers.replies import Reply, ToolCall
from gpt_from_scratch.evals.providers.vendor import as_dicts, split_system

__all__ = ["AnthropicFunctionCallingProvider", "MaxIterationsReachedError"]


class AnthropicFunctionCallingProvider(FunctionCallingProvider):
    """Models `function-calling-<model>` for every model of `provider`.

    functions: see `FunctionTool`; `handler_options` are `ToolRegistry`'s (strict, timeout, ...)
    max_iterations_per_execution: how many replies the model may use for one answer
    provider: where the model is; Anthropic itself by default
    """

    def __init__(
        self,
        functions: Sequence[Callable[..., Any] | FunctionTool],
        max_iterations_per_execution: int = 3,
        *,
        provider: AnthropicProvider | None = None,
        **handler_options: Any,
    ) -> None:
        self._handler = FunctionCallHandler(functions, **handler_options)
        self._anthropic = provider or AnthropicProvider()
        super().__init__(self._anthropic, self._handler.get_schema_for_tools_arg(), max_iterations_per_execution)

    def start(self, model: str, request: Request) -> tuple[dict[str, Any], list[Any]]:
        system, messages = split_system(request.prompt)
        parameters = anthropic_provider.text_parameters(model, TextOptions.of(request))
        tools = {"tools": self._tools} if self._tools else {}
        return {"model": model, "system": system, **tools, **parameters}, as_dicts(messages)

    def ask(self, messages: list[Any], arguments: dict[str, Any]) -> Reply:
        return self._anthropic.create(messages=messages, **arguments)

    def answer(self, calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
        return [{"role": "user", "content": [self._handler.answer(call) for call in calls]}]
