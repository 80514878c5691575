"""Retry policy: bounded exponential backoff with jitter, which respects the server's Retry-After."""

import dataclasses
import email.utils
import math
import random
import time
from collections.abc import Mapping

from gpt_from_scratch.evals.protocol.provider import ProviderError


@dataclasses.dataclass(frozen=True)
class Backoff:
    """The n-th retry waits `base * 2**n` seconds at most `cap`, less up to a quarter of jitter.

    A server's Retry-After wins over both; one that asks for more than `patience` seconds is not waited for.
    """

    max_retries: int = 6
    base: float = 0.5
    cap: float = 60.0
    patience: float = 600.0

    def __post_init__(self) -> None:
        if self.max_retries < 0 or not (0 <= self.base < math.inf and 0 <= self.cap < math.inf and self.patience >= 0):
            raise ValueError(f"a backoff needs max_retries, base, cap and patience of at least 0, not {self}")

    def delay(self, error: ProviderError, retries: int, rng: random.Random) -> float | None:
        """Seconds to wait before the next try, after `retries` were made already; None to give up."""
        if not error.retryable or retries >= self.max_retries:
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.patience else None
        doubled = self.base * 2.0 ** min(retries, 1000)
        return float(min(self.cap, doubled) * (1 - 0.25 * rng.random()))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a reply's headers ask to wait: Retry-After-Ms, or Retry-After in seconds or as a date (RFC 9110).

    None where they ask nothing that can be read; `Backoff.patience` bounds what is obeyed.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if (seconds := _number(text)) is not None:
        return seconds
    try:
        date = email.utils.parsedate_tz(text) if text else None
        return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else None
    except (ValueError, OverflowError, TypeError, IndexError):  # a year 99999, a 32nd day, a zone of ten digits
        return None


def _number(text: str | None) -> float | None:
    """A finite number of at least 0, else None."""
    try:
        value = float(text) if text else -1.0
    except ValueError:
        return None
    return value if 0 <= value < math.inf else None
