"""OpenAI's models, and any server that speaks its chat completions protocol."""

import re
from typing import Any

from gpt_from_scratch.evals.protocol.messages import (
    GetProbsResponse,
    GetTextResponse,
    Request,
    Response,
    TextOptions,
    asks_for_probs,
)
from gpt_from_scratch.evals.protocol.provider import ProviderError
from gpt_from_scratch.evals.providers.replies import Reply, openai_reply
from gpt_from_scratch.evals.providers.vendor import VendorProvider, as_dicts, call_of
from gpt_from_scratch.support.command_line.invocation import how_to_install

_OPENAI = re.compile(r"gpt-|chatgpt-|o\d|codex-|ft:")
_REASONING = re.compile(r"(ft:)?(o\d|codex-|gpt-([5-9]|\d\d)(?!.*-chat))")
MOST_LOGPROBS = 20


class OpenAIProvider(VendorProvider):
    """OpenAI's own models, or with `base_url` whatever that server has.

    base_url: such as "http://127.0.0.1:8000/v1"; None is OpenAI, or what OPENAI_BASE_URL says
    api_key: for `base_url`; OPENAI_API_KEY is only ever sent to OpenAI
    prefix: model ids begin with it, and the server is asked without it; tells several servers apart
    """

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
