"""OpenAI's models with Python functions.

provider = OpenAIFunctionCallingProvider(functions=[get_weather])
provider.execute("function-calling-gpt-4o", Request(prompt=[Message("user", "Is it cold in Oslo?")], context=None)).txt
"""

from collections.abc import Callable, Sequence
from typing import Any

from gpt_from_scratch.evals.function_calling.loop import FunctionCallingProvider, MaxIterationsReachedError
from gpt_from_scratch.evals.function_calling.openai.function_call_handler import FunctionCallHandler
from gpt_from_scratch.evals.function_calling.tools import FunctionTool
from gpt_from_scratch.evals.protocol.messages import Request, TextOptions
from gpt_from_scratch.evals.providers import openai_provider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
from gpt_from_scratch.evals.providers.replies import Reply, ToolCall
from gpt_from_scratch.evals.providers.vendor import as_dicts

__all__ = ["MaxIterationsReachedError", "OpenAIFunctionCallingProvider"]


class OpenAIFunctionCallingProvider(FunctionCallingProvider):
    """Models `function-calling-<model>` for every model of `provider`.

    functions: see `FunctionTool`; `handler_options` are `ToolRegistry`'s (strict, timeout, ...)
    max_iterations_per_execution: how many replies the model may use for one answer
    provider: where the model is; OpenAI itself by default
    parallel_tool_calls: None asks for one call at a time where a tool is strict, since strict schemas hold only then
    """

    def __init__(
        self,
        functions: Sequence[Callable[..., Any] | FunctionTool],
        max_iterations_per_execution: int = 3,
        *,
        provider: OpenAIProvider | None = None,
        parallel_tool_calls: bool | None = None,
        **handler_options: Any,
    ) -> None:
        self._handler = FunctionCallHandler(functions, **handler_options)
        self._openai = provider or OpenAIProvider()
        self._parallel = parallel_tool_calls
        if parallel_tool_calls is None and self._handler.has_strict_tools:
            self._parallel = False
        super().__init__(self._openai, self._handler.get_schema_for_tools_arg(), max_iterations_per_execution)

    def start(self, model: str, request: Request) -> tuple[dict[str, Any], list[Any]]:
        name = model.removeprefix(self._openai.prefix)
        arguments = {"model": name, **openai_provider.text_parameters(name, TextOptions.of(request))}
        if self._tools:  # the API refuses an empty list of them
            arguments["tools"] = self._tools
            if self._parallel is not None and openai_provider.takes_parallel_tool_calls(name):
                arguments["parallel_tool_calls"] = self._parallel
        return arguments, as_dicts(request.prompt)

    def ask(self, messages: list[Any], arguments: dict[str, Any]) -> Reply:
        return self._openai.complete(messages=messages, **arguments)

    def answer(self, calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
        return [self._handler.answer(call) for call in calls]
