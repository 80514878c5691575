"""Protection of the server: checks before every route, and timeouts of idle connections."""

import asyncio
import hmac
import ipaddress
from collections.abc import Iterable
from typing import ClassVar

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from gpt_from_scratch.evals.serve.errors import RequestError
from gpt_from_scratch.evals.serve.page_files import PAGE_PATHS

OPEN_PATHS = ("/health", *PAGE_PATHS)
"""Paths that need no token: a state, and a page that holds nothing of the model's and asks for the token itself."""


class Guard:
    """Refuses what a web page could make a browser send, and whoever lacks the token.

    Host: on the loopback interface only its own names are accepted, or a page whose name is made to point here (DNS
    rebinding) could read the answers. With a token any name is: the page does not have it.
    Origin: a browser names the page that asks; only a page of this server itself would be accepted. There is no CORS.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, hosts: Iterable[str], head_bytes: int) -> None:
        self.app, self._token, self._head_bytes = app, token, head_bytes
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._check_size(scope)
                self._check(scope["path"], Headers(scope=scope))
            except RequestError as error:
                await error.as_response()(scope, receive, send)
                return
        elif scope["type"] != "lifespan":
            raise RuntimeError(f"this server has no {scope['type']}")
        await self.app(scope, receive, send)

    def _check_size(self, scope: Scope) -> None:
        size = len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"])
        if size + sum(len(name) + len(value) for name, value in scope["headers"]) > self._head_bytes:
            raise RequestError(
                f"a request's line and headers may have {self._head_bytes} bytes", status=431, code="headers_too_large"
            )

    def _check(self, path: str, headers: Headers) -> None:
        host = headers.get("host", "")
        if self._token is None and _name(host) not in self._hosts:
            raise RequestError(f"this server is not called {host[:100]!r}", status=403, code="host_refused")
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
            raise RequestError("no page of another site may ask here", status=403, code="origin_refused")
        if self._token is not None and path not in OPEN_PATHS:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            is_ours = hmac.compare_digest(given.strip(" ").encode(), self._token.encode())
            if scheme.lower() != "bearer" or not is_ours:  # a scheme's letters may be large or small (RFC 9110, 11.1)
                raise RequestError(
                    "a token is needed: Authorization: Bearer ...",
                    status=401,
                    code="invalid_api_key",
                    headers={"WWW-Authenticate": "Bearer"},
                )


def _name(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host.partition("]")[0].removeprefix("[").lower()
    return host.partition(":")[0].lower()


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reachable from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class PatientConnection(H11Protocol):
    """uvicorn's HTTP connection with the two clocks that it lacks.

    It closes where a request's head does not come, a refused body does not end, or an answer is not read, in time.
    """

    seconds: ClassVar[float] = 30.0
    _quiet: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        """Let the clock run while no request is being answered."""
        idle = self.cycle is None or self.cycle.response_complete
        if not idle and self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        elif idle and self._quiet is None and not self.transport.is_closing():
            self._quiet = self.loop.call_later(self.seconds, self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._quiet, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
