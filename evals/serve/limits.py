"""Limits of requests, so that no client can exhaust the server."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ServerLimits:
    """Every bound has an answer of its own: 400 for a request beyond it, 413 and 431 for its size, 429 for too many at once."""

    head_bytes: int = 16 << 10
    """A request's line and headers, names and values."""
    body_bytes: int = 2 << 20
    depth: int = 32
    """Maximum nesting depth of lists and objects."""
    max_tokens: int = 4096
    n: int = 16
    prompts: int = 256
    """Prompts in one request (lm-eval sends whole batches)."""
    rows: int = 1024
    """Prompts times n of one request."""
    tokens: int = 1 << 21
    """Tokens of one request's answer, over all its rows; each of `logprobs` counts as one more beside its token."""
    logprobs: int = 20
    attention_tokens: int = 512
    """Tokens whose attention a request may ask for; the answer grows with their square."""
    stops: int = 16
    stop_length: int = 256
    queue: int = 4096
    """Sequences that run or wait, over all requests; a request may take half of the places left."""
    body_seconds: float = 30.0
    """Maximum seconds for a client to send the head, and again the body, of a request."""
    request_seconds: float = 600.0
    """Maximum total seconds of a request, including a slow reader."""
