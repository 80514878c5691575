"""Prices and limits: no number that is none, and no reply, lets a run spend more than its cap."""

import math
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.evals.protocol import pricing
from gpt_from_scratch.evals.protocol.limits import Account, Limits
from gpt_from_scratch.evals.protocol.messages import Call, GetTextResponse, Request, Usage
from gpt_from_scratch.evals.protocol.pricing import FREE, PRICE_LISTS, Price, price_of, source_of
from gpt_from_scratch.evals.protocol.retry import Backoff
from gpt_from_scratch.evals.protocol.samples import QA, EvalResult
from gpt_from_scratch.evals.providers.echo_provider import EchoProvider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
from gpt_from_scratch.evals.runs.run_samples import run_samples

PRICES = {name: price for one in PRICE_LISTS for name, price in one.prices.items()}
SNAPSHOTS = {
    "gpt-4o-2024-05-13": Price(5.0, 15.0),
    "gpt-4o-2024-08-06": Price(2.5, 10.0),
    "gpt-3.5-turbo-0613": Price(1.5, 2.0),
    "gpt-3.5-turbo-0125": Price(0.5, 1.5),
    "gpt-4-0613": Price(30.0, 60.0),
    "claude-haiku-4-5-20251001": Price(1.0, 5.0),
    "function-calling-gpt-4o-mini-2024-07-18": Price(0.15, 0.6),
}


@pytest.fixture(params=["genai-prices", "table"])
def source(request: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Both places that prices come from."""
    if request.param == "table":
        monkeypatch.setitem(sys.modules, "genai_prices", None)
    else:
        pytest.importorskip("genai_prices")
    pricing._by_genai_prices.cache_clear()
    yield request.param
    pricing._by_genai_prices.cache_clear()


def test_snapshots_have_their_own_prices(source: str) -> None:
    assert {name: price_of(name) for name in SNAPSHOTS} == SNAPSHOTS
    assert price_of("gpt-99-nonsense") is None and price_of("ft:gpt-4o:me") is None
    assert price_of("echo") == FREE and price_of("echo", served=True) is price_of("local/x", served=True) is None


def test_genai_prices_comes_first_and_is_named(source: str) -> None:
    named = "gpt-6-astra"
    assert named not in PRICES
    if source == "table":
        assert (
            price_of(named) is None and price_of("gpt-4o") == PRICES["gpt-4o"] and source_of("gpt-4o") == pricing.AS_OF
        )
    else:
        assert price_of(named) is not None and source_of(named).startswith("genai-prices ")
        assert {name: price_of(name) for name in PRICES} == PRICES, "the table has fallen behind"


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, -0.01])
def test_a_price_that_is_none_is_refused(odd: float) -> None:
    for arguments in ((odd, 1.0), (1.0, odd), (1.0, 1.0, ((10, odd, 1.0),))):
        with pytest.raises(ValueError, match="finite number of dollars of at least 0"):
            Price(*arguments)
    with pytest.raises(ValueError, match="at least 0"):
        Account(Limits(), FREE).settle(Usage(1, 1), odd)
    for name in ("cost", "seconds"):
        if not odd > 0:
            with pytest.raises(ValueError, match=f"limit on {name} must be above 0"):
                Limits(**{name: odd})


@pytest.mark.parametrize("usage", [Usage(-1), Usage(0, -1), Usage(0, 0, -1)])
def test_counts_below_0_are_refused(usage: Usage) -> None:
    for counts in ((usage, 0.0), (Usage(), 0.0, usage)):
        with pytest.raises(ValueError, match="at least 0"):
            Account(Limits(tokens=9), FREE).settle(*counts)


@given(usage=st.builds(Usage, *[st.integers(0, 10**12)] * 3), more=st.builds(Usage, *[st.integers(0, 10**12)] * 3))
def test_more_tokens_never_cost_less(usage: Usage, more: Usage) -> None:
    price = Price(3.0, 15.0, tiers=((200_000, 6.0, 22.5),))
    assert 0 <= price.cost(usage) <= price.cost(usage + more) < math.inf


def test_a_dearer_tier_and_what_is_written_to_a_cache() -> None:
    price = Price(1.0, 2.0, tiers=((100, 10.0, 20.0),))
    assert price.cost(Usage(100, 1)) * 1e6 == pytest.approx(102) and price.cost(Usage(101, 1)) * 1e6 == pytest.approx(
        1030
    )
    assert price.cost(Usage(50, 0, 40)) * 1e6 == pytest.approx(90)


def questions(count: int) -> list[QA]:
    return [QA(id=f"q{i}", body=f"say {i}", ideal_answers=["x"]) for i in range(count)]


def run(server: Any, count: int, model: str = "m", **more: Any) -> EvalResult:
    provider = OpenAIProvider(base_url=f"{server.url}/v1")
    options = {
        "backoff": Backoff(base=0.001, cap=0.001),
        "progress": False,
        "max_concurrency": 1,
        "max_tokens": 5,
        **more,
    }
    return run_samples(questions(count), provider, model=model, **options)


@pytest.mark.parametrize("model", ["echo", "local/model", "oracle", "unknown"])
def test_a_served_model_is_not_free_by_its_name(server: Any, model: str) -> None:
    with pytest.raises(ValueError, match="needs the model's price"):
        run(server, 1, model, limits=Limits(cost=1.0))
    assert server.log == []


DOLLAR = Price(1e6, 0.0)
"""A dollar a token that is read: a question is at most about 22 of them, and 10 as the server counts."""


@pytest.mark.parametrize(
    "reply",
    [
        {"text": "x", "usage": {}},
        {"text": "x", "usage": {"prompt_tokens": -1000, "completion_tokens": -1000}},
        {"text": "x", "usage": {"prompt_tokens": float("nan"), "completion_tokens": 0}},
        {"raw": "garbled"},
        {"raw": '{"choices": []}'},
    ],
    ids=["none", "negative", "NaN", "garbled", "no choices"],
)
def test_replies_without_counts_do_not_slip_under_the_caps(server: Any, reply: Any, tmp_path: Path) -> None:
    server.script(*[reply] * 100)
    record = tmp_path / "run.jsonl"
    result = run(server, 50, price=DOLLAR, limits=Limits(cost=60.0), resume_path=record)
    asked = len(server.log)
    assert 1 <= asked <= 2, "each may have cost 22 dollars"
    assert "limit of $60" in str(result.stopped) and result.cost is not None and 0 < result.cost <= 60
    run(server, 50, price=DOLLAR, limits=Limits(cost=60.0), resume_path=record)
    assert len(server.log) == asked, "what they may have cost is remembered"
    server.script(*[reply] * 100)
    assert "limit of 60 tokens" in str(run(server, 50, limits=Limits(tokens=60)).stopped) and len(server.log) <= 2


def test_a_provider_of_ones_own_that_counts_badly_lowers_nothing() -> None:
    class Odd(EchoProvider):
        def execute(self, model_id: str, request: Request) -> GetTextResponse:
            call = Call(served_model="odd", parameters={}, usage=Usage(-(10**9), -5))
            return GetTextResponse(
                model_id=model_id, request=request, raw_responses=[], context=None, call=call, txt="x"
            )

    result = run_samples(
        questions(9), Odd(), model="odd", price=Price(1e6, 0.0), limits=Limits(cost=60.0), progress=False
    )
    assert result.input_tokens == result.output_tokens == 0 and result.cost is not None and 0 < result.cost <= 60
    assert result.stopped
