"""Requests to a model and its responses: the dataclasses of `evalugator.api.requests`, field by field.

`Call` is the one addition: evalugator keeps no account of what was sent and what it cost. It is last and has a default,
so code written for evalugator's shapes works with these.
"""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Message:
    """One turn of a conversation; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


Prompt = list[Message]


@dataclasses.dataclass(frozen=True)
class Usage:
    """Tokens that were read and written, summed over every request that one answer needed.

    cache_write_tokens: those of the read ones that were written to the vendor's prompt cache, which costs more
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
        )

    def __sub__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens - other.input_tokens,
            self.output_tokens - other.output_tokens,
            self.cache_write_tokens - other.cache_write_tokens,
        )

    @property
    def total(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclasses.dataclass(frozen=True, kw_only=True)
class Call:
    """Account of an answer: the model, the parameters, the finish reason, and the usage."""

    served_model: str
    parameters: dict[str, Any]
    usage: Usage = Usage()
    finish_reason: str | None = None
    counted: bool = True
    """Whether the server said how many tokens it used; where it did not, `usage` is too low."""
    transcript: list[Any] | None = None
    """Every message after the prompt, where there were several (function calling)."""


@dataclasses.dataclass(kw_only=True)
class Request:
    """Ask `prompt`; `context` is the caller's own and is handed back with the response."""

    context: Any
    prompt: Prompt

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclasses.dataclass(kw_only=True)
class GetTextRequest(Request):
    """Ask for text."""

    temperature: float
    max_tokens: int


@dataclasses.dataclass(kw_only=True)
class GetProbsRequest(Request):
    """Ask for the probabilities of the next token.

    At least `min_top_n` tokens where the model gives log probabilities; a model that gives none is sampled
    `num_samples` times, one token each.
    """

    min_top_n: int
    num_samples: int | None = None


@dataclasses.dataclass(kw_only=True)
class Response:
    """An answer. `raw_responses` are the vendor's own objects and stay out of `as_dict`."""

    model_id: str
    request: Request
    raw_responses: list[Any]
    context: Any
    call: Call | None = None

    def as_dict(self) -> dict[str, Any]:
        return {"model_id": self.model_id, "request": self.request.as_dict(), "context": self.context}


@dataclasses.dataclass(kw_only=True)
class GetTextResponse(Response):
    """The answer to a request for text."""

    txt: str

    def as_dict(self) -> dict[str, Any]:
        return super().as_dict() | {"txt": self.txt}


@dataclasses.dataclass(kw_only=True)
class GetProbsResponse(Response):
    """The answer to a request for probabilities: token text to probability."""

    probs: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        return super().as_dict() | {"probs": self.probs}


@dataclasses.dataclass(frozen=True)
class TextOptions:
    """A request's temperature and max_tokens; None leaves the choice to the vendor.

    Read by attribute, not by class: a bare `Request` has neither, and evalugator's own request objects have both.
    """

    temperature: float | None
    max_tokens: int | None

    @classmethod
    def of(cls, request: Request) -> "TextOptions":
        return cls(getattr(request, "temperature", None), getattr(request, "max_tokens", None))


def asks_for_probs(request: Request) -> bool:
    """Whether this is a `GetProbsRequest`, ours or evalugator's."""
    return hasattr(request, "min_top_n")


def without_surrogates(text: str) -> str:
    """`text` with U+FFFD for each half of a surrogate pair that stands alone: UTF-8, and so no request, has a form for it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
