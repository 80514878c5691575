"""What a provider of models is, and how it says that a call failed."""

import re
from typing import Protocol, runtime_checkable

from gpt_from_scratch.evals.messages import Request, Response, Usage


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
    retryable: whether the same call may succeed later
    retry_after: how many seconds the server asked to wait
    stops_run: every other call would fail in the same way (a refused key)
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        stops_run: bool = False,
    ) -> None:
        super().__init__(redact(message))
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after
        self.stops_run = stops_run
        self.usage = Usage()
        """What was used before the failure, where one answer needs several requests."""

    @property
    def kind(self) -> str:
        """A short label to count by."""
        return str(self.status) if self.status is not None else "connection"


class MissingKeyError(RuntimeError):
    """No API key: nothing can be asked."""

    def __init__(self, variable: str) -> None:
        super().__init__(
            f"{variable} is not set. Set it to your API key (export {variable}=...), give a server of your own with "
            f"base_url, or run offline with the model 'echo'."
        )


def redact(text: str) -> str:
    """Blank out what looks like an API key: vendors quote parts of it in their error messages."""
    return re.sub(r"\b(sk|pk)-[\w*.-]{4,}|(?<=Bearer )\S+", "[key]", text)
