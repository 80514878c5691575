"""Retries wait as long as they must, and no longer."""

import datetime
import email.utils
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.evals.protocol.provider import ProviderError
from gpt_from_scratch.evals.protocol.retry import Backoff, retry_after
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider

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


ODD = [
    "-5",
    "soon",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "9" * 400,
    "Wed, 21 Oct 99999 07:28:00 GMT",
    "Wed, 21 Oct 0 07:28:00 GMT",
]
ODD += [
    "32 Foo 2015 25:61:61 +9999999999",
    "Mon, 00 Jan 0000 00:00:00 GMT",
    ",",
    ":",
    "1 Jan 2030",
    "\u0664",
    "1_0",
    "\x00",
    "+",
]


@given(
    text=st.one_of(
        st.sampled_from(ODD), st.text(), st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [+-]?\d+")
    )
)
def test_whatever_a_server_asks_is_bounded(text: str) -> None:
    for name in ("retry-after", "retry-after-ms"):
        asked = retry_after({name: text})
        assert asked is None or 0 <= asked < math.inf
        delay = Backoff().delay(ProviderError("busy", retryable=True, retry_after=asked), 0, random.Random(0))
        assert delay is None or 0 <= delay <= Backoff().patience


@pytest.mark.parametrize("odd", [math.nan, math.inf, -1.0])
def test_waits_that_are_no_numbers_are_refused(odd: float) -> None:
    for name in ("base", "cap"):
        with pytest.raises(ValueError, match="at least 0"):
            Backoff(**{name: odd})
    with pytest.raises(ValueError, match="timeout must be a number of seconds above 0"):
        OpenAIProvider(base_url="http://127.0.0.1/v1", timeout=odd)
    assert Backoff(max_retries=10**6).delay(PASSING, 10**5, random.Random(0)) <= 60
