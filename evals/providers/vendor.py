"""Base class of OpenAI's and Anthropic's providers: a lazily created client, and common error handling."""

import dataclasses
import functools
import importlib
import json
import os
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar

from gpt_from_scratch.evals.protocol import credentials
from gpt_from_scratch.evals.protocol.messages import Call, Message, Prompt
from gpt_from_scratch.evals.protocol.provider import MissingKeyError, ProviderError
from gpt_from_scratch.evals.protocol.retry import retry_after
from gpt_from_scratch.evals.providers import transport
from gpt_from_scratch.evals.providers.replies import Reply, garbled, read_json
from gpt_from_scratch.support.command_line.invocation import how_to_install

RETRYABLE = {408, 409, 429}
REFUSED = {400, 413, 422}
"""This one question, as it is written: wrong, too long or unprocessable. Asking it again gets the same reply.

All others can be put right outside of the question: 401, 402 and 403 by a key or an account, 404 by the model's name or the
address, and the rest by the server.
"""
EMPTY_ACCOUNTS = ("insufficient_quota", "billing_hard_limit_reached", "credit balance is too low")
"""Codes and words of replies whose status (400, 402 or 429) does not tell an empty account from a wrong or early question."""
NO_KEY = "no key needed"
REDIRECTS = range(300, 400)
LONGEST_SECONDS = 1e6
"""Of a request; sockets know no timeout above 2,147,483 seconds."""


class VendorProvider:
    """A provider that talks through an SDK.

    The SDK's own retries are off: `run_samples` retries, so that retries are counted, shown and bounded in one place.
    """

    package: ClassVar[str]
    client_class: ClassVar[str]
    key_variable: ClassVar[str]
    url_variable: ClassVar[str]
    account_headers: ClassVar[tuple[str, ...]] = ()
    """Headers with which the SDK names the account."""
    served: ClassVar[bool] = True
    """A server has the models: none is free by its name."""

    def __init__(
        self, *, client: Any = None, base_url: str | None = None, api_key: str | None = None, timeout: float = 120.0
    ) -> None:
        """
        base_url: of a server with the same protocol; None is the vendor, or what the environment names
        api_key: for `base_url`; the vendor's own key is only ever sent to the vendor
        timeout: seconds that one request may take, from its first byte to the reply's last

        Raises:
            ValueError: `base_url` is no URL, or `timeout` is out of its range.
        """
        if not 0 < timeout <= LONGEST_SECONDS:
            raise ValueError(f"timeout must be a number of seconds above 0, at most {LONGEST_SECONDS:g}, not {timeout}")
        if base_url is not None:
            credentials.Address.of(base_url)
        self.base_url = base_url
        self.api_key = api_key
        self._given_client = client
        self._client: Any = None
        self._made_in: tuple[str | None, str | None] = (None, None)
        self._secrets: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self.timeout = timeout

    def client_arguments(self) -> dict[str, Any]:
        """Arguments of the client. Raises MissingKeyError, and ValueError for an invalid address."""
        key = (self.api_key or NO_KEY) if self.base_url is not None else os.environ.get(self.key_variable)
        if not key:
            raise MissingKeyError(self.key_variable)
        if not (key.isascii() and key.isprintable() and key == key.strip()):  # the SDK's error would quote it
            where = self.key_variable if self.base_url is None else "api_key"
            raise ValueError(
                f"{where} is no key: it holds a line break, a blank at an end or a letter beyond ASCII. Set it again."
            )
        arguments: dict[str, Any] = {"api_key": key}
        secrets = [] if key == NO_KEY else [key]
        if url := self.base_url or os.environ.get(self.url_variable):
            # Apart, so that no message or log of the SDK's shows user, password or query.
            address = credentials.Address.of(url)
            arguments["base_url"] = address.public
            if address.query:
                arguments["default_query"] = address.query
            arguments["default_headers"] = {"Authorization": address.authorization} if address.authorization else {}
            if self.base_url is not None:
                arguments["default_headers"] |= self._instead_of_the_accounts(key, address.authorization)
            secrets += address.secrets
        credentials.remember(*secrets)
        credentials.redact_logs("httpx", "httpx2", f"{self.package}._base_client")
        self._secrets = frozenset(secret for secret in secrets if len(secret) >= credentials.SHORTEST)
        return arguments

    def _instead_of_the_accounts(self, key: str, authorization: str | None) -> dict[str, Any]:
        """Headers in place of those that the SDK takes from the environment: they are for the vendor, or its gateway."""
        lines = os.environ.get(f"{self.package.upper()}_CUSTOM_HEADERS", "").split("\n")
        names = [*self.account_headers, *(line.partition(":")[0].strip() for line in lines if ":" in line)]
        keys = {"authorization": authorization or f"Bearer {key}", "x-api-key": key}
        return {name: keys.get(name.lower(), self.sdk.Omit()) for name in names}

    def fingerprint(self) -> dict[str, Any]:
        """Everything besides the prompt that determines the answer; part of the cache's key."""
        url = self.base_url or os.environ.get(self.url_variable)
        return {"provider": self.package, "base_url": credentials.public_url(url)}

    @functools.cached_property
    def sdk(self) -> ModuleType:
        try:
            return importlib.import_module(self.package)
        except ImportError as error:
            raise RuntimeError(
                f"the {self.package} package is not installed: {how_to_install('evals')}; or run offline "
                f"with the model 'echo'"
            ) from error

    @property
    def client(self) -> Any:
        """The SDK's client, made once however many threads ask first, and again where the key or the URL that the
        environment names has changed. Raises MissingKeyError.
        """
        with self._lock:
            environment = os.environ.get(self.key_variable), os.environ.get(self.url_variable)
            if self._client is None or self._made_in != environment:
                options: dict[str, Any] = {"max_retries": 0, "timeout": self.timeout}
                if self._given_client is not None:
                    self._client = self._given_client.with_options(**options)
                else:
                    options |= self.client_arguments()
                    http_client = transport.bounded_client(self.sdk, self.timeout)
                    self._client = getattr(self.sdk, self.client_class)(http_client=http_client, **options)
                self._made_in = environment
            return self._client

    def send(
        self, create: Callable[..., Any], read: Callable[[Any], Reply], kind: Callable[[], Any], **arguments: Any
    ) -> Reply:
        """One request: the reply in our types, whatever the server does.

        create: the SDK's method, with its raw reply
        read: makes the `Reply` of the reply's JSON
        kind: the SDK's class of a reply

        Raises:
            ProviderError: the request cannot be sent, or has no answer.
        """
        _check_sendable(arguments)
        body = transport.bounded(self.timeout, lambda: self._body(create, arguments))
        reply = read(read_json(body, self._secrets))
        return dataclasses.replace(reply, raw=_as_vendors(kind(), body))

    def _body(self, create: Callable[..., Any], arguments: dict[str, Any]) -> bytes:
        """Send in the request's thread, converting the SDK's exceptions to `ProviderError`."""
        sdk = self.sdk
        try:
            body: bytes = create(**arguments).http_response.content
            return body
        except ProviderError:
            raise
        except sdk.APIStatusError as error:
            raise _status_error(error) from error
        except sdk.APIConnectionError as error:
            if isinstance(error.__cause__, ProviderError):
                raise error.__cause__ from None
            late = isinstance(error, sdk.APITimeoutError)
            lost = ProviderError(
                f"no reply: {error.__cause__ or error}", retryable=True, kind="timeout" if late else "connection"
            )
            lost.uncounted = late
            raise lost from error
        except Exception as error:  # what an SDK trips over once a reply is there is that reply's fault, and one row's
            if self._given_client is None and not transport.replied():
                raise
            raise garbled(f"{type(error).__name__}: {error}") from error


def _check_sendable(arguments: dict[str, Any]) -> None:
    """Raise ProviderError where a request has no form in UTF-8."""
    try:
        json.dumps(arguments, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise ProviderError(
            f"the question holds half a character ({half}, a surrogate without its other half) and cannot be sent: "
            f"mend the text it comes from",
            permanent=True,
            kind="unsendable",
        ) from None


def _as_vendors(kind: Any, body: bytes) -> Any:
    """A reply as the SDK's own object, for those who know it; plain JSON where the SDK makes none of it."""
    plain = json.loads(body)
    try:
        return kind.construct(**plain)
    except Exception:  # the SDK's construction checks nothing, and breaks on odd fields in ways of its own
        return plain


def _status_error(error: Any) -> ProviderError:
    """Convert an HTTP status to a `ProviderError`, retryable by the SDKs' own rules."""
    headers = error.response.headers
    status: int = error.status_code
    out_of_money = any(word in f"{getattr(error, 'code', None)} {error.message}" for word in EMPTY_ACCOUNTS)
    retryable = (status in RETRYABLE or status >= 500) and not out_of_money
    if headers.get("x-should-retry") in ("true", "false"):
        retryable = headers["x-should-retry"] == "true"
    text = str(error.message)
    if status in REDIRECTS:
        target = credentials.public_url(headers.get(transport.REDIRECT) or headers.get("location"))
        text = f"the server has moved{f' to {target}' if target else ''}: give its address as base_url"
    return ProviderError(
        f"HTTP {status}: {text}",
        status=status,
        retryable=retryable,
        retry_after=retry_after(headers),
        # A page of some proxy's on the way is no word of the vendor's about the key.
        stops_run=(status in (401, 403) and _is_vendors(error.body)) or out_of_money,
        permanent=status in REFUSED and not retryable and not out_of_money,
    )


def _is_vendors(body: Any) -> bool:
    """Whether the body of an error is the vendor's own form of one."""
    inner = body.get("error", body) if isinstance(body, dict) else None
    return isinstance(inner, dict) and isinstance(inner.get("message"), str)


def as_dicts(prompt: Prompt) -> list[dict[str, Any]]:
    """A prompt as the vendors' JSON."""
    return [{"role": message.role, "content": message.content} for message in prompt]


def split_system(prompt: Prompt) -> tuple[str, list[Message]]:
    """The system text, joined, and the other messages: Anthropic takes the system prompt as a parameter."""
    system = "\n\n".join(message.content for message in prompt if message.role == "system")
    return system, [message for message in prompt if message.role != "system"]


def call_of(reply: Reply, parameters: dict[str, Any]) -> Call:
    """The account of one reply."""
    return Call(
        served_model=reply.model,
        parameters=parameters,
        usage=reply.usage,
        finish_reason=reply.finish_reason,
        counted=reply.counted,
    )
