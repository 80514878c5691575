"""The interface of a provider of models, and its errors for calls that failed."""

from typing import Protocol, runtime_checkable

from gpt_from_scratch.evals.protocol.credentials import redact
from gpt_from_scratch.evals.protocol.messages import Request, Response, Usage, without_surrogates

MOST_CHARACTERS = 1000
"""Of an error's text: servers send whole pages."""


@runtime_checkable
class Provider(Protocol):
    """Anything with these four methods; evalugator's provider modules and instances fit too.

    `execute` is called from several threads at once. It raises `ProviderError` for a failed call: that becomes a row of
    the results. Any other exception is a defect and ends the run.
    """

    def provides_model(self, model_id: str) -> bool: ...

    def execute(self, model_id: str, request: Request) -> Response: ...

    def encode(self, model_id: str, data: str) -> list[int]: ...

    def decode(self, model_id: str, tokens: list[int]) -> str: ...


class ProviderError(Exception):
    """A call to a model failed.

    status: the HTTP status, or None where there was no reply
    retryable: whether the same call may succeed in a moment
    retry_after: how many seconds the server asked to wait
    stops_run: every other call would fail in the same way (a refused key)
    permanent: no later run can cure it either: the question cannot be sent, the server refuses it as it is written (400,
        413, 422), or a filter or a bound cuts its answer
    kind: a short label to count by; None takes the status, or "connection" where there is none
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        stops_run: bool = False,
        permanent: bool = False,
        kind: str | None = None,
    ) -> None:
        text = without_surrogates(redact(message))
        super().__init__(text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…")
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        self.stops_run = stops_run
        self.permanent = permanent
        self._kind = kind
        self.uncounted = False
        """Whether it may have been charged beyond `usage`: a reply came that cannot be read, or none in time."""
        self.usage = Usage()
        """What was used before the failure, where one answer needs several requests."""

    @property
    def kind(self) -> str:
        """A short label to count by."""
        return self._kind or (str(self.status) if self.status is not None else "connection")


class MissingKeyError(RuntimeError):
    """No API key: nothing can be asked."""

    def __init__(self, variable: str) -> None:
        super().__init__(
            f"{variable} is not set. Set it to your API key (export {variable}=...), give a server of your own with "
            f"base_url, or run offline with the model 'echo'."
        )


def name_of(provider: Provider) -> str:
    """The name of a provider's class, or of a module that is one."""
    return getattr(provider, "__name__", type(provider).__name__)


def fingerprint(provider: Provider) -> object:
    """Everything about a provider, besides the prompt, that affects its answers; part of the cache's key.

    A provider may say it by a method `fingerprint()` that returns JSON; its class name stands in otherwise.
    """
    own = getattr(provider, "fingerprint", None)
    return own() if own is not None else name_of(provider)
