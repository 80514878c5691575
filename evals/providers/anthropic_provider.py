"""Anthropic's models."""

import collections
import re
from typing import Any, ClassVar

from gpt_from_scratch.evals.protocol.messages import (
    Call,
    GetProbsResponse,
    GetTextResponse,
    Request,
    Response,
    TextOptions,
    Usage,
    asks_for_probs,
)
from gpt_from_scratch.evals.protocol.pricing import Price, PriceList
from gpt_from_scratch.evals.protocol.provider import ProviderError
from gpt_from_scratch.evals.providers.replies import Reply, anthropic_reply
from gpt_from_scratch.evals.providers.vendor import VendorProvider, as_dicts, call_of, split_system

# Claude 3 to 4.6 take a temperature; from Opus 4.7 on the API refuses one (HTTP 400).
_TAKES_TEMPERATURE = re.compile(r"claude-(2|3|instant)|claude-(opus|sonnet|haiku)-4(-[0-6])?(-\d{8}|-latest)?$")
DEFAULT_MAX_TOKENS = 4096
"""Anthropic's API wants a bound; this one is used where the request gives none."""
PRICES = PriceList(
    re.compile("claude-"),
    {
        "claude-3-haiku": Price(0.25, 1.25),
        "claude-3-opus": Price(15.00, 75.00),
        "claude-3-5-haiku": Price(0.80, 4.00),
        "claude-3-5-sonnet": Price(3.00, 15.00),
        "claude-3-7-sonnet": Price(3.00, 15.00),
        "claude-haiku-4-5": Price(1.00, 5.00),
        "claude-sonnet-4": Price(3.00, 15.00),
        "claude-sonnet-4-5": Price(3.00, 15.00, tiers=((200_000, 6.00, 22.50),)),
        "claude-opus-4": Price(15.00, 75.00),
        "claude-opus-4-1": Price(15.00, 75.00),
        "claude-opus-4-5": Price(5.00, 25.00),
        "claude-opus-4-6": Price(5.00, 25.00),
        "claude-opus-4-7": Price(5.00, 25.00),
        "claude-opus-5": Price(5.00, 25.00),
    },
    vendor="anthropic",
)


class AnthropicProvider(VendorProvider):
    """Anthropic's models, or those of a server with the same protocol.

    base_url: such as "http://127.0.0.1:8000", without /v1; None is Anthropic, or what ANTHROPIC_BASE_URL says
    api_key: for `base_url`; ANTHROPIC_API_KEY is only ever sent to Anthropic
    """

    names: ClassVar[str] = "claude-… (Anthropic)"
    example: ClassVar[str] = "claude-haiku-4-5"
    package = "anthropic"
    client_class = "Anthropic"
    key_variable = "ANTHROPIC_API_KEY"
    url_variable = "ANTHROPIC_BASE_URL"

    def provides_model(self, model_id: str) -> bool:
        return model_id.startswith("claude-")

    def execute(self, model_id: str, request: Request) -> Response:
        if asks_for_probs(request):
            return self._probs(model_id, request)
        system, messages = split_system(request.prompt)
        parameters = text_parameters(model_id, TextOptions.of(request))
        reply = self.create(model=model_id, system=system, messages=as_dicts(messages), **parameters)
        return GetTextResponse(
            model_id=model_id,
            request=request,
            raw_responses=[reply.raw],
            context=request.context,
            txt=reply.text,
            call=call_of(reply, parameters),
        )

    def create(
        self, *, system: str, messages: list[dict[str, Any]], temperature: float | None = None, **arguments: Any
    ) -> Reply:
        """One `messages.create`, without its empty messages, which the API refuses. Raises ProviderError."""
        arguments["messages"] = [message for message in messages if not _is_empty(message["content"])]
        if not arguments["messages"]:
            raise ProviderError(
                "the question is empty, and Anthropic takes no empty message: give it a text",
                permanent=True,
                kind="unsendable",
            )
        if not _is_empty(system):
            arguments["system"] = system
        if temperature is not None:
            # The SDK has had no such parameter since the newest models refuse it; the older ones still read it.
            arguments["extra_body"] = {"temperature": temperature}
        create = self.client.messages.with_raw_response.create
        return self.send(create, anthropic_reply, lambda: self.sdk.types.Message, **arguments)

    def encode(self, model_id: str, data: str) -> list[int]:
        raise NotImplementedError(f"Anthropic publishes no tokenizer: {model_id} cannot be encoded for here")

    def decode(self, model_id: str, tokens: list[int]) -> str:
        raise NotImplementedError(f"Anthropic publishes no tokenizer: {model_id} cannot be decoded here")

    def _probs(self, model_id: str, request: Any) -> Response:
        """Anthropic gives no log probabilities: sample one token `num_samples` times and count."""
        count = request.num_samples
        if not count:
            raise ValueError(f"{model_id} gives no log probabilities: say num_samples, how often to sample instead")
        system, messages = split_system(request.prompt)
        parameters = text_parameters(model_id, TextOptions(temperature=1.0, max_tokens=1))
        replies = [
            self.create(model=model_id, system=system, messages=as_dicts(messages), **parameters) for _ in range(count)
        ]
        seen = collections.Counter(reply.text for reply in replies)
        usage = sum((reply.usage for reply in replies), Usage())
        return GetProbsResponse(
            model_id=model_id,
            request=request,
            raw_responses=[reply.raw for reply in replies],
            context=request.context,
            probs={text: n / count for text, n in seen.most_common()},
            call=Call(
                served_model=replies[0].model,
                parameters=parameters,
                usage=usage,
                counted=all(reply.counted for reply in replies),
            ),
        )


PROVIDER = AnthropicProvider()


def text_parameters(model: str, options: TextOptions) -> dict[str, Any]:
    """The request parameters that `model` accepts: `max_tokens` always, `temperature` where it is not refused."""
    parameters: dict[str, Any] = {"max_tokens": options.max_tokens or DEFAULT_MAX_TOKENS}
    if options.temperature is not None and _TAKES_TEMPERATURE.match(model):
        parameters["temperature"] = options.temperature
    return parameters


def _is_empty(content: str | list[Any]) -> bool:
    return not (content.strip() if isinstance(content, str) else content)
