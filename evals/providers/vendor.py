"""What OpenAI's and Anthropic's SDKs have in common: a client made when first needed, and errors in one form."""

import contextlib
import functools
import importlib
import json
import os
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any, ClassVar

from gpt_from_scratch.evals.messages import Message, Prompt
from gpt_from_scratch.evals.provider import MissingKeyError, ProviderError
from gpt_from_scratch.evals.retry import retry_after

RETRYABLE = {408, 409, 429}


class VendorProvider:
    """A provider that talks through an SDK.

    The SDK's own retries are off: `run_samples` retries, so that retries are counted, shown and bounded in one place.
    """

    package: ClassVar[str]
    client_class: ClassVar[str]
    key_variable: ClassVar[str]
    url_variable: ClassVar[str]

    def __init__(
        self, *, client: Any = None, base_url: str | None = None, api_key: str | None = None, timeout: float = 120.0
    ) -> None:
        """
        base_url: of a server with the same protocol; None is the vendor, or what the environment names
        api_key: for `base_url`; the vendor's own key is only ever sent to the vendor
        """
        self.base_url = base_url
        self.api_key = api_key
        self._given_client = client
        self._client: Any = None
        self._made_in: tuple[str | None, str | None] = (None, None)
        self._lock = threading.Lock()
        self.timeout = timeout

    def client_arguments(self) -> dict[str, Any]:
        """What the client is made with. Raises MissingKeyError."""
        if self.base_url is not None:
            return {"base_url": self.base_url, "api_key": self.api_key or "no key needed"}
        if not os.environ.get(self.key_variable):
            raise MissingKeyError(self.key_variable)
        return {}

    def fingerprint(self) -> dict[str, Any]:
        """What else than the prompt decides the answer: it is part of the cache's key."""
        return {"provider": self.package, "base_url": self.base_url or os.environ.get(self.url_variable)}

    @functools.cached_property
    def sdk(self) -> ModuleType:
        try:
            return importlib.import_module(self.package)
        except ImportError as error:
            raise RuntimeError(
                f"the {self.package} package is not installed: pip install 'gpt_from_scratch[evals]', or run offline "
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
                options = {"max_retries": 0, "timeout": self.timeout}
                if self._given_client is not None:
                    self._client = self._given_client.with_options(**options)
                else:
                    self._client = getattr(self.sdk, self.client_class)(**self.client_arguments(), **options)
                self._made_in = environment
            return self._client

    @contextlib.contextmanager
    def errors_as_ours(self) -> Iterator[None]:
        """Turn the SDK's exceptions into `ProviderError`."""
        sdk = self.sdk
        try:
            yield
        except sdk.APIStatusError as error:
            raise _status_error(error) from error
        except sdk.APIConnectionError as error:
            raise ProviderError(f"no reply: {error.__cause__ or error}", retryable=True) from error
        except sdk.APIError as error:
            raise ProviderError(f"a reply that cannot be read: {error}", retryable=True) from error
        except json.JSONDecodeError as error:  # of a garbled body: the SDKs let it through
            raise ProviderError(f"a reply that cannot be read: {error}", retryable=True) from error


def _status_error(error: Any) -> ProviderError:
    """Which statuses are worth another try, as the SDKs themselves decide it."""
    headers = error.response.headers
    status: int = error.status_code
    out_of_money = getattr(error, "code", None) == "insufficient_quota"
    retryable = (status in RETRYABLE or status >= 500) and not out_of_money
    if headers.get("x-should-retry") in ("true", "false"):
        retryable = headers["x-should-retry"] == "true"
    return ProviderError(
        f"HTTP {status}: {error.message}",
        status=status,
        retryable=retryable,
        retry_after=retry_after(headers),
        stops_run=status in (401, 403) or out_of_money,
    )


def as_dicts(prompt: Prompt) -> list[dict[str, Any]]:
    """A prompt as the vendors' JSON."""
    return [{"role": message.role, "content": message.content} for message in prompt]


def split_system(prompt: Prompt) -> tuple[str, list[Message]]:
    """The system text, joined, and the other messages: Anthropic takes the system prompt as a parameter."""
    system = "\n\n".join(message.content for message in prompt if message.role == "system")
    return system, [message for message in prompt if message.role != "system"]
