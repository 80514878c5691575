"""What the server accepts, so that no client can take all of it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """Every bound has an answer of its own: 400 for a request beyond it, 413 for its size, 429 for too many at once."""

    body_bytes: int = 2 << 20
    max_tokens: int = 4096
    n: int = 16
    prompts: int = 256
    """Prompts in one request (lm-eval sends whole batches)."""
    logprobs: int = 20
    stops: int = 16
    stop_length: int = 256
    queue: int = 1024
    """Sequences that run or wait, over all requests."""
    body_seconds: float = 30.0
    """How long a client may take to send its request, its head and its body each."""
    request_seconds: float = 600.0
    """How long a request may take in all, a slow reader's included."""
