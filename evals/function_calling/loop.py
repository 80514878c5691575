"""The loop of model replies and tool calls, common to both vendors."""

import abc
from collections.abc import Sequence
from typing import Any

from gpt_from_scratch.evals.protocol.messages import Call, GetTextResponse, Request, Response, Usage, asks_for_probs
from gpt_from_scratch.evals.protocol.provider import Provider, ProviderError
from gpt_from_scratch.evals.providers.replies import Reply, ToolCall

PREFIX = "function-calling-"
"""Before a vendor's model id: so that the plain model and the one with functions are two models."""
_NO_PARAMETERS = ("model", "system", "tools")
"""Arguments of a request that are no parameters of it: they are the same for a whole run."""


class MaxIterationsReachedError(ProviderError):
    """The model still called functions in its last allowed turn; `messages` is the conversation so far."""

    def __init__(self, iterations: int, messages: list[Any]) -> None:
        super().__init__(
            f"the model still called functions after {iterations} turns; allow more with max_iterations_per_execution",
            kind="max iterations",
        )
        self.messages = messages


class FunctionCallingProvider(abc.ABC):
    """A vendor's models with functions; one instance serves many threads, since each conversation is its own."""

    served = True
    """A server has the models: none is free by its name."""

    def __init__(self, vendor: Provider, tools: list[dict[str, Any]], max_iterations_per_execution: int) -> None:
        if max_iterations_per_execution < 1:
            raise ValueError(f"max_iterations_per_execution must be at least 1, not {max_iterations_per_execution}")
        self._vendor = vendor
        self._tools = tools
        self._max_iterations = max_iterations_per_execution

    @abc.abstractmethod
    def start(self, model: str, request: Request) -> tuple[dict[str, Any], list[Any]]:
        """The arguments of every request, and the messages of the first, in the vendor's form."""

    @abc.abstractmethod
    def ask(self, messages: list[Any], arguments: dict[str, Any]) -> Reply:
        """Send the messages. Raises ProviderError."""

    @abc.abstractmethod
    def answer(self, calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
        """The messages that answer a turn's calls of functions."""

    def fingerprint(self) -> dict[str, Any]:
        """Everything besides the prompt that determines the answer; part of the cache's key."""
        return {"vendor": type(self._vendor).__name__, "tools": self._tools, "iterations": self._max_iterations}

    def provides_model(self, model_id: str) -> bool:
        return model_id.startswith(PREFIX) and self._vendor.provides_model(model_id.removeprefix(PREFIX))

    def encode(self, model_id: str, data: str) -> list[int]:
        return self._vendor.encode(model_id.removeprefix(PREFIX), data)

    def decode(self, model_id: str, tokens: list[int]) -> str:
        return self._vendor.decode(model_id.removeprefix(PREFIX), tokens)

    def execute(self, model_id: str, request: Request) -> Response:
        """Ask until the model answers without calling a function.

        Raises:
            MaxIterationsReachedError: it called functions in each of its turns.
            ProviderError: a request failed.
        """
        if asks_for_probs(request):
            raise ValueError(
                f"{model_id} gives text only: probabilities of a next token are not defined with functions"
            )
        arguments, messages = self.start(model_id.removeprefix(PREFIX), request)
        asked = len(messages)
        replies: list[Any] = []
        usage, counted = Usage(), True
        try:
            for _ in range(self._max_iterations):
                reply = self.ask(messages, arguments)
                replies.append(reply.raw)
                usage, counted = usage + reply.usage, counted and reply.counted
                messages.append(reply.turn)
                if not reply.calls:
                    sent = {name: value for name, value in arguments.items() if name not in _NO_PARAMETERS}
                    return GetTextResponse(
                        model_id=model_id,
                        request=request,
                        raw_responses=replies,
                        context=request.context,
                        txt=reply.text,
                        call=Call(
                            served_model=reply.model,
                            parameters=sent,
                            usage=usage,
                            finish_reason=reply.finish_reason,
                            counted=counted,
                            transcript=messages[asked:],
                        ),
                    )
                messages.extend(self.answer(reply.calls))
            raise MaxIterationsReachedError(self._max_iterations, messages)
        except ProviderError as error:
            error.usage, error.uncounted = usage, error.uncounted or not counted
            raise
