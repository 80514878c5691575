"""What went wrong, in the form OpenAI's clients understand."""

from typing import Any


class RequestError(Exception):
    """An answer that is not a result. `kind` and `code` are OpenAI's names."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.param, self.code, self.kind = message, status, param, code, kind
        self.headers = headers or {}

    def as_dict(self) -> dict[str, Any]:
        """The body of the answer."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def overloaded(waiting: int) -> RequestError:
    """Too many sequences at once."""
    return RequestError(
        f"{waiting} sequences are running or waiting already; try again later",
        status=429,
        code="rate_limit_exceeded",
        kind="rate_limit_error",
        headers={"Retry-After": "1"},
    )


def too_slow(what: str, seconds: float) -> RequestError:
    """A deadline has passed."""
    return RequestError(f"{what} took longer than {seconds:g} s", status=408, code="timeout", kind="timeout_error")
