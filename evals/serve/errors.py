"""Errors in the form that OpenAI's clients understand."""

import json
from typing import Any

from starlette.responses import Response


class Json(Response):
    """An answer in JSON. It is ASCII, since what comes in may hold halves of characters, which no encoding can send."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode()


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

    def as_response(self) -> Json:
        """The answer itself."""
        return Json(self.as_dict(), self.status, self.headers)


def overloaded(wanted: int, waiting: int, places: int) -> RequestError:
    """Too many sequences at once."""
    return RequestError(
        f"{waiting} sequences are running or waiting already, there are {places} places, and a request may take half of "
        f"those that are left: there is no room for {wanted} now; try again later, or ask for fewer",
        status=429,
        code="rate_limit_exceeded",
        kind="rate_limit_error",
        headers={"Retry-After": "1"},
    )


def too_slow(what: str, seconds: float) -> RequestError:
    """A deadline has passed."""
    return RequestError(f"{what} took longer than {seconds:g} s", status=408, code="timeout", kind="timeout_error")
