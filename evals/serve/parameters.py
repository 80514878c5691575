"""Parameters of requests to /v1/completions and /v1/chat/completions, checked and in a common form."""

import dataclasses
import secrets
from typing import Any

from gpt_from_scratch.evals.serve.errors import RequestError
from gpt_from_scratch.evals.serve.fields import RequestFields
from gpt_from_scratch.evals.serve.limits import ServerLimits


@dataclasses.dataclass(frozen=True)
class Conversation:
    """Messages, which the model's chat template makes a prompt of."""

    messages: tuple[tuple[str, str], ...]
    """(role, content) of each."""

    @property
    def plain(self) -> str:
        """What a model without a template goes on from: the contents, joined by an empty line."""
        return "\n\n".join(content for _, content in self.messages)


Prompt = str | tuple[int, ...] | Conversation


@dataclasses.dataclass(frozen=True)
class Parameters:
    """A request for `n` continuations of every prompt.

    top: how many of the most likely tokens to report beside each token, None to report no log-probabilities at all
    token_ids: report the tokens' ids beside the text (vLLM's return_token_ids)
    """

    prompts: tuple[Prompt, ...]
    n: int
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int | None
    seed: int
    stops: tuple[str, ...]
    top: int | None
    echo: bool
    stream: bool
    include_usage: bool
    token_ids: bool = False


def completion(values: dict[str, Any], served: str, limits: ServerLimits) -> Parameters:
    """The body of /v1/completions. Raises RequestError."""
    fields = RequestFields(values)
    prompts = _prompts(fields.take("prompt"), limits)
    top = fields.integer("logprobs", -1, 0, limits.logprobs)
    echo = fields.boolean("echo")
    fields.unsupported("suffix", "")
    parameters = _common(
        fields, served, limits, prompts=prompts, top=top if top >= 0 else None, echo=echo, default_tokens=16
    )
    fields.unsupported("best_of", parameters.n)
    token_ids = fields.boolean("return_token_ids")
    fields.done()
    _check_rows(parameters, limits)
    return dataclasses.replace(parameters, token_ids=token_ids)


def chat(values: dict[str, Any], served: str, limits: ServerLimits) -> Parameters:
    """The body of /v1/chat/completions. Raises RequestError.

    A model whose tokenizer has a chat template is asked with it. A base model knows no roles: a conversation is its messages'
    contents, joined by an empty line, and the model goes on from there.
    """
    if values.get("max_completion_tokens") is not None:  # its newer name
        values = {**values, "max_tokens": values["max_completion_tokens"]}
    fields = RequestFields(values)
    fields.ignored("max_completion_tokens")
    messages = [(_role(message), _content(message)) for message in _messages(fields.take("messages"))]
    wanted = fields.boolean("logprobs")
    top = fields.integer("top_logprobs", 0, 0, limits.logprobs)
    for name in ("tools", "functions"):
        fields.unsupported(name, [])
    for name in ("tool_choice", "function_call"):
        fields.unsupported(name, "none", "auto")
    fields.unsupported("response_format", {"type": "text"})
    fields.unsupported("modalities", ["text"])
    fields.ignored("parallel_tool_calls", "store", "metadata", "service_tier", "prompt_cache_key", "safety_identifier")
    parameters = _common(
        fields,
        served,
        limits,
        prompts=(Conversation(tuple(messages)),),
        top=top if wanted else None,
        echo=False,
        default_tokens=256,
    )
    fields.done()
    return parameters


def _common(
    fields: RequestFields,
    served: str,
    limits: ServerLimits,
    *,
    prompts: tuple[Prompt, ...],
    top: int | None,
    echo: bool,
    default_tokens: int,
) -> Parameters:
    check_model(fields.text("model"), served)
    for name in ("presence_penalty", "frequency_penalty"):
        fields.unsupported(name, 0)
    fields.unsupported("logit_bias", {})
    fields.ignored("user")
    stream = fields.boolean("stream")
    options = RequestFields(_object(fields.take("stream_options"), "stream_options"))
    include_usage = options.boolean("include_usage")
    options.ignored("include_obfuscation")
    options.done()
    top_k = fields.integer("top_k", 0, -1, 1 << 31)  # 0 and -1 are other servers' ways to say all
    return Parameters(
        prompts=prompts,
        n=fields.integer("n", 1, 1, limits.n),
        max_tokens=fields.integer(
            "max_tokens", min(default_tokens, limits.max_tokens), 0 if echo else 1, limits.max_tokens
        ),
        temperature=fields.number("temperature", 1.0, 0, 100),
        top_p=fields.number("top_p", 1.0, 1e-6, 1),
        top_k=top_k if top_k > 0 else None,
        seed=fields.integer("seed", secrets.randbits(48), -(1 << 63), (1 << 63) - 1),
        stops=tuple(fields.texts("stop", limits.stops, limits.stop_length)),
        top=top,
        echo=echo,
        stream=stream,
        include_usage=include_usage,
    )


def _check_rows(parameters: Parameters, limits: ServerLimits) -> None:
    """Raise RequestError where the answer would be too large."""
    rows = len(parameters.prompts) * parameters.n
    if rows > limits.rows:
        raise RequestError(f"prompts times n may be at most {limits.rows}, they are {rows}", param="n")
    tokens = rows * parameters.max_tokens * (1 + (parameters.top or 0))
    if tokens > limits.tokens:
        raise RequestError(
            f"an answer may have {limits.tokens} tokens over all prompts and choices, their logprobs counted; this could "
            f"have {tokens}",
            param="max_tokens",
        )


def check_model(name: str, served: str) -> None:
    """Raise RequestError unless this is the model that is served: an answer by another would be taken for its own."""
    if name != served:
        raise RequestError(
            f"there is no model {name[:200]!r} here; this server has {served!r}",
            status=404,
            param="model",
            code="model_not_found",
        )


def _prompts(value: Any, limits: ServerLimits) -> tuple[Prompt, ...]:
    """A text, a list of tokens, or a list of either."""
    if value is None:
        return ("",)
    values = [value] if isinstance(value, str) or _is_tokens(value) else value
    if not isinstance(values, list) or not all(isinstance(one, str) or _is_tokens(one) for one in values) or not values:
        raise RequestError(
            "prompt must be a text, a list of tokens, or a list of texts or of such lists", param="prompt"
        )
    if len(values) > limits.prompts:
        raise RequestError(f"a request may have {limits.prompts} prompts, this has {len(values)}", param="prompt")
    return tuple(one if isinstance(one, str) else tuple(one) for one in values)


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int for token in value)


def _messages(value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise RequestError("messages must be a list of at least one message", param="messages")
    return value


def _role(message: Any) -> str:
    if not isinstance(message, dict):
        raise RequestError("each of messages must be an object with a role and a content", param="messages")
    if not isinstance(role := message.get("role"), str):
        raise RequestError("each of messages needs a role", param="messages")
    return "system" if role == "developer" else role  # its newer name


def _content(message: dict[str, Any]) -> str:
    """A message's text, also where it comes in parts."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise RequestError("each of messages needs a content: a text, or parts of type text", param="messages")
    return "".join(map(str, texts))


def _object(value: Any, name: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise RequestError(f"{name} must be an object", param=name)
    return value or {}
