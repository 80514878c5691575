import datetime
import email.utils
import random

import pytest

from gpt_from_scratch.evals.provider import ProviderError
from gpt_from_scratch.evals.retry import Backoff, retry_after

PASSING = ProviderError("busy", status=500, retryable=True)


def test_waits_double_up_to_the_cap_with_jitter_below() -> None:
    backoff, rng = Backoff(max_retries=10, base=1.0, cap=8.0), random.Random(0)
    for retries, longest in enumerate([1, 2, 4, 8, 8, 8]):
        delays = [backoff.delay(PASSING, retries, rng) or 0.0 for _ in range(200)]
        assert 0.75 * longest <= min(delays) < 0.8 * longest and 0.95 * longest < max(delays) <= longest


def test_when_to_give_up() -> None:
    backoff, rng = Backoff(max_retries=2, patience=10.0), random.Random(0)
    assert backoff.delay(PASSING, 2, rng) is None
    assert backoff.delay(ProviderError("wrong", status=400), 0, rng) is None
    assert backoff.delay(ProviderError("wait", retryable=True, retry_after=10.0), 0, rng) == 10.0
    assert backoff.delay(ProviderError("wait", retryable=True, retry_after=11.0), 0, rng) is None
    assert backoff.delay(ProviderError("wait", retryable=True, retry_after=0.0), 0, rng) == 0.0
    with pytest.raises(ValueError, match="at least 0"):
        Backoff(max_retries=-1)


def test_headers() -> None:
    assert retry_after({"retry-after": "2.5"}) == 2.5
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert retry_after({}) is retry_after({"retry-after": "soon"}) is retry_after({"retry-after": "nan"}) is None
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)
    assert retry_after({"retry-after": email.utils.format_datetime(later, usegmt=True)}) == pytest.approx(60, abs=2)
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
