"""HTTP transport for requests to untrusted servers: bounded in time and size, without redirects.

An HTTP client's own timeout applies to each read, so a server that sends a byte per minute would never time out.
"""

import threading
import time
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from gpt_from_scratch.evals.protocol.deadline import TookTooLongError, within
from gpt_from_scratch.evals.protocol.provider import ProviderError
from gpt_from_scratch.evals.providers.replies import garbled

T = TypeVar("T")

MOST_BYTES = 16 * 2**20
"""Of a reply, before and after it is unpacked."""
_GZIP = b"\x1f\x8b"
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 47}

REDIRECT = "x-was-location"
"""The header that a reply's Location is found under."""

_call = threading.local()
"""Of the thread that sends: `deadline`, by the monotonic clock, and `replied`, whether a reply began."""


def bounded(seconds: float, send: Callable[[], T]) -> T:
    """Call `send` with a time limit. Raises ProviderError if it takes longer."""

    def work() -> T:
        _call.deadline, _call.replied = time.monotonic() + seconds, False
        return send()

    try:
        return within(seconds, "request", work)
    except TookTooLongError:
        late = ProviderError(f"no reply within {seconds:g} s", retryable=True, kind="timeout")
        late.uncounted = True
        raise late from None


def replied() -> bool:
    """Whether a reply to this thread's request has begun."""
    return bool(_call.replied)


def bounded_client(sdk: ModuleType, timeout: float) -> Any:
    """The SDK's own HTTP client, with every reply read here, whole.

    It follows no redirects: they would take the question, and some keys, to a server that nobody named. It uses no
    connection twice: what a server sends too much would be read as the answer to the next question.
    """

    def read(response: Any) -> None:
        _call.replied = True
        encoding = response.headers.pop("content-encoding", "identity").strip().lower()
        body = _unpacked(_read(response.stream), encoding)
        response.headers.pop("transfer-encoding", None)
        if (target := response.headers.pop("location", None)) is not None:
            response.headers[REDIRECT] = target  # out of the HTTP client's sight, which would trip over an odd one
        response.headers["content-length"] = str(len(body))
        # By what it is: the SDKs would trust the server's word, and the names of charsets run code of any kind.
        response.headers["content-type"] = f"{'application/json' if _is_json(body) else 'text/plain'}; charset=utf-8"
        response.stream = _byte_stream(type(response))(body)

    return sdk.DefaultHttpxClient(
        timeout=timeout,
        follow_redirects=False,
        headers={"accept-encoding": "gzip, deflate", "connection": "close"},
        event_hooks={"response": [read]},
    )


def _read(stream: Any) -> bytes:
    """The raw bytes, up to the bounds. Raises ProviderError, and the HTTP client's own exceptions."""
    deadline = getattr(_call, "deadline", float("inf"))
    read = bytearray()
    try:
        for chunk in stream:
            read += chunk
            if len(read) > MOST_BYTES:
                raise garbled(f"it has more than {MOST_BYTES} bytes")
            if time.monotonic() > deadline:
                raise garbled("it had not ended in time")
    finally:
        stream.close()
    return bytes(read)


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding in ("", "identity") or not body:
        return body
    if encoding not in _WINDOWS:
        raise garbled(f"its encoding is {encoding[:40]!r}, and gzip or deflate were asked for")
    try:
        return _inflated(body, _WINDOWS[encoding])
    except zlib.error as error:
        if encoding == "deflate":  # some servers send it without its header
            try:
                return _inflated(body, -15)
            except zlib.error:
                pass
        raise garbled(f"its {encoding} is damaged, {error}") from None


def _inflated(body: bytes, window: int) -> bytes:
    unpacked = b""
    while True:
        decoder = zlib.decompressobj(window)
        unpacked += decoder.decompress(body, MOST_BYTES + 1 - len(unpacked))
        if len(unpacked) > MOST_BYTES:
            raise garbled(f"it has more than {MOST_BYTES} bytes when unpacked")
        if not decoder.eof:
            raise garbled("its packed body ends too early")
        body = decoder.unused_data
        if not body.startswith(_GZIP):  # a gzip body may be several, one after the other (RFC 1952, 2.2)
            return unpacked


def _is_json(body: bytes) -> bool:
    return body.lstrip()[:1] in (b"{", b"[")


def _byte_stream(kind: type) -> Any:
    """`ByteStream` of the HTTP package that this SDK uses: httpx, or its successor."""
    import importlib

    return importlib.import_module(kind.__module__.partition(".")[0]).ByteStream
