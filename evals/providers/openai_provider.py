"""OpenAI's models, and any server that speaks its chat completions protocol."""

import re
from typing import Any, ClassVar

from gpt_from_scratch.evals.protocol.messages import (
    GetProbsResponse,
    GetTextResponse,
    Request,
    Response,
    TextOptions,
    asks_for_probs,
)
from gpt_from_scratch.evals.protocol.pricing import Price, PriceList
from gpt_from_scratch.evals.protocol.provider import ProviderError
from gpt_from_scratch.evals.providers.replies import Reply, openai_reply
from gpt_from_scratch.evals.providers.vendor import VendorProvider, as_dicts, call_of
from gpt_from_scratch.support.command_line.invocation import how_to_install

_OPENAI = re.compile(r"gpt-|chatgpt-|o\d|codex-|ft:")
_REASONING = re.compile(r"(ft:)?(o\d|codex-|gpt-([5-9]|\d\d)(?!.*-chat))")
MOST_LOGPROBS = 20
PRICES = PriceList(
    re.compile(rf"{_OPENAI.pattern}|text-|davinci-|babbage-"),
    {
        "gpt-3.5-turbo": Price(0.50, 1.50),
        "gpt-3.5-turbo-0301": Price(1.50, 2.00),
        "gpt-3.5-turbo-0613": Price(1.50, 2.00),
        "gpt-3.5-turbo-1106": Price(1.00, 2.00),
        "gpt-4": Price(30.00, 60.00),
        "gpt-4-turbo": Price(10.00, 30.00),
        "gpt-4o": Price(2.50, 10.00),
        "gpt-4o-2024-05-13": Price(5.00, 15.00),
        "chatgpt-4o-latest": Price(5.00, 15.00),
        "gpt-4o-mini": Price(0.15, 0.60),
        "gpt-4.1": Price(2.00, 8.00),
        "gpt-4.1-mini": Price(0.40, 1.60),
        "gpt-4.1-nano": Price(0.10, 0.40),
        "gpt-5": Price(1.25, 10.00),
        "gpt-5-mini": Price(0.25, 2.00),
        "gpt-5-nano": Price(0.05, 0.40),
        "gpt-5.1": Price(1.25, 10.00),
        "gpt-5.2": Price(1.75, 14.00),
        "o1": Price(15.00, 60.00),
        "o1-pro": Price(150.00, 600.00),
        "o3": Price(2.00, 8.00),
        "o3-mini": Price(1.10, 4.40),
        "o3-pro": Price(20.00, 80.00),
        "o4-mini": Price(1.10, 4.40),
    },
    vendor="openai",
)


class OpenAIProvider(VendorProvider):
    """OpenAI's own models, or with `base_url` whatever that server has.

    base_url: such as "http://127.0.0.1:8000/v1"; None is OpenAI, or what OPENAI_BASE_URL says
    api_key: for `base_url`; OPENAI_API_KEY is only ever sent to OpenAI
    prefix: model ids begin with it, and the server is asked without it; tells several servers apart
    """

    names: ClassVar[str] = "gpt-…, chatgpt-… and o with a digit (OpenAI)"
    example: ClassVar[str] = "gpt-4o-mini"
    package = "openai"
    client_class = "OpenAI"
    key_variable = "OPENAI_API_KEY"
    url_variable = "OPENAI_BASE_URL"
    account_headers = ("OpenAI-Organization", "OpenAI-Project")

    def __init__(self, *, prefix: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.prefix = prefix

    def provides_model(self, model_id: str) -> bool:
        if not model_id.startswith(self.prefix):
            return False
        return self.base_url is not None or _OPENAI.match(model_id.removeprefix(self.prefix)) is not None

    def execute(self, model_id: str, request: Request) -> Response:
        model = model_id.removeprefix(self.prefix)
        if asks_for_probs(request):
            return self._probs(model_id, model, request)
        parameters = text_parameters(model, TextOptions.of(request))
        reply = self.complete(model=model, messages=as_dicts(request.prompt), **parameters)
        return GetTextResponse(
            model_id=model_id,
            request=request,
            raw_responses=[reply.raw],
            context=request.context,
            txt=reply.text,
            call=call_of(reply, parameters),
        )

    def complete(self, **arguments: Any) -> Reply:
        """One `chat.completions.create`. Raises ProviderError."""
        create = self.client.chat.completions.with_raw_response.create
        return self.send(create, openai_reply, lambda: self.sdk.types.chat.ChatCompletion, **arguments)

    def encode(self, model_id: str, data: str) -> list[int]:
        return list(self._encoding(model_id).encode(data, disallowed_special=()))

    def decode(self, model_id: str, tokens: list[int]) -> str:
        return str(self._encoding(model_id).decode(tokens))

    def _probs(self, model_id: str, model: str, request: Any) -> Response:
        if _REASONING.match(model):
            raise ValueError(f"{model} gives no log probabilities; ask a model that does, such as gpt-4o")
        if not 1 <= request.min_top_n <= MOST_LOGPROBS:
            raise ValueError(f"min_top_n is 1 to {MOST_LOGPROBS} for OpenAI's protocol, not {request.min_top_n}")
        parameters = {"max_tokens": 1, "temperature": 0.0, "logprobs": True, "top_logprobs": request.min_top_n}
        reply = self.complete(model=model, messages=as_dicts(request.prompt), **parameters)
        if reply.probs is None:
            raise ProviderError(f"{model} sent no log probabilities")
        return GetProbsResponse(
            model_id=model_id,
            request=request,
            raw_responses=[reply.raw],
            context=request.context,
            probs=reply.probs,
            call=call_of(reply, parameters),
        )

    def _encoding(self, model_id: str) -> Any:
        try:
            import tiktoken
        except ImportError as error:
            raise RuntimeError(f"encode and decode need tiktoken: {how_to_install('tiktoken')}") from error
        try:
            return tiktoken.encoding_for_model(model_id.removeprefix(self.prefix))
        except KeyError as error:
            raise ValueError(f"tiktoken knows no tokenizer for {model_id!r}") from error


PROVIDER = OpenAIProvider()


def text_parameters(model: str, options: TextOptions) -> dict[str, Any]:
    """The request parameters that `model` accepts.

    Reasoning models refuse `temperature`, and `max_tokens` in favour of `max_completion_tokens`; servers that only speak
    the protocol know `max_tokens`.
    """
    reasoning = _REASONING.match(model) is not None
    parameters: dict[str, Any] = {}
    if options.max_tokens is not None:
        parameters["max_completion_tokens" if reasoning else "max_tokens"] = options.max_tokens
    if options.temperature is not None and not reasoning:
        parameters["temperature"] = options.temperature
    return parameters


def takes_parallel_tool_calls(model: str) -> bool:
    """The o models call one function at a time, and refuse to be told so."""
    return re.match(r"o\d", model) is None
