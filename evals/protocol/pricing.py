"""Prices of tokens, so that a run can name its cost before it begins, and stop at a limit."""

import dataclasses
import functools
import importlib
import importlib.metadata
import math
import re
from typing import Any

from gpt_from_scratch.evals.protocol.messages import Usage

AS_OF = "2026-11"
"""When the table was read from the vendors' public price pages. Prices change: pass your own `Price` to be sure."""


@dataclasses.dataclass(frozen=True)
class Price:
    """US dollars for a million tokens.

    tiers: (start, input, output): a request that reads more than `start` tokens is charged these, the last that applies

    Raises:
        ValueError: one is negative, infinite or NaN: no limit on cost would hold.
    """

    input: float
    output: float
    tiers: tuple[tuple[int, float, float], ...] = ()

    def __post_init__(self) -> None:
        for name, value in [("input", self.input), ("output", self.output), *((t, p) for t in self.tiers for p in t)]:
            if not 0 <= value < math.inf:
                raise ValueError(
                    f"a price must be a finite number of dollars of at least 0, not {name}={value}: give dollars a "
                    f"million tokens, such as 0.15 0.6"
                )

    def cost(self, usage: Usage) -> float:
        """US dollars for one request's `usage`, at most: cached tokens are charged in full, and those that were written to
        a cache twice, as the dearest of the vendors' rates.
        """
        read, written = self.input, self.output
        for start, dearer_read, dearer_written in self.tiers:
            if usage.input_tokens > start:
                read, written = dearer_read, dearer_written
        return ((usage.input_tokens + usage.cache_write_tokens) * read + usage.output_tokens * written) / 1e6


FREE = Price(0.0, 0.0)

PRICES = {
    "gpt-3.5-turbo": Price(0.50, 1.50),
    "gpt-3.5-turbo-0301": Price(1.50, 2.00),
    "gpt-3.5-turbo-0613": Price(1.50, 2.00),
    "gpt-3.5-turbo-1106": Price(1.00, 2.00),
    "gpt-4": Price(30.00, 60.00),
    "gpt-4-turbo": Price(10.00, 30.00),
    "gpt-4o": Price(2.50, 10.00),
    "gpt-4o-2024-05-13": Price(5.00, 15.00),
    "chatgpt-4o-latest": Price(5.00, 15.00),
    "gpt-4o-mini": Price(0.15, 0.60),
    "gpt-4.1": Price(2.00, 8.00),
    "gpt-4.1-mini": Price(0.40, 1.60),
    "gpt-4.1-nano": Price(0.10, 0.40),
    "gpt-5": Price(1.25, 10.00),
    "gpt-5-mini": Price(0.25, 2.00),
    "gpt-5-nano": Price(0.05, 0.40),
    "gpt-5.1": Price(1.25, 10.00),
    "gpt-5.2": Price(1.75, 14.00),
    "o1": Price(15.00, 60.00),
    "o1-pro": Price(150.00, 600.00),
    "o3": Price(2.00, 8.00),
    "o3-mini": Price(1.10, 4.40),
    "o3-pro": Price(20.00, 80.00),
    "o4-mini": Price(1.10, 4.40),
    "claude-3-haiku": Price(0.25, 1.25),
    "claude-3-opus": Price(15.00, 75.00),
    "claude-3-5-haiku": Price(0.80, 4.00),
    "claude-3-5-sonnet": Price(3.00, 15.00),
    "claude-3-7-sonnet": Price(3.00, 15.00),
    "claude-haiku-4-5": Price(1.00, 5.00),
    "claude-sonnet-4": Price(3.00, 15.00),
    "claude-sonnet-4-5": Price(3.00, 15.00, tiers=((200_000, 6.00, 22.50),)),
    "claude-opus-4": Price(15.00, 75.00),
    "claude-opus-4-1": Price(15.00, 75.00),
    "claude-opus-4-5": Price(5.00, 25.00),
    "claude-opus-4-6": Price(5.00, 25.00),
    "claude-opus-4-7": Price(5.00, 25.00),
    "claude-opus-5": Price(5.00, 25.00),
}
"""Behind genai-prices, where it is not installed or lacks a model. A snapshot whose price is not its family's stands alone."""

_DATED = re.compile(r"(-\d{4}-\d{2}-\d{2}|-\d{8}|-\d{4}|-latest)$")


def price_of(model_id: str, *, served: bool = False) -> Price | None:
    """The price of a model, or None where none is known: by `genai-prices` where it is installed, else by our table.

    served: a server has the model, so that none is free by its name
    """
    if not served and (model_id in ("echo", "oracle") or model_id.startswith("local/")):
        return FREE
    name = model_id.removeprefix("function-calling-")
    return _listed(name) or _in_table(name)


def source_of(model_id: str) -> str:
    """Where `price_of` has a model's price from, in a word or two."""
    name = model_id.removeprefix("function-calling-")
    listed = _listed(name)
    return AS_OF if listed in (None, _in_table(name)) else f"genai-prices {importlib.metadata.version('genai-prices')}"


def _in_table(name: str) -> Price | None:
    return PRICES.get(name) or PRICES.get(_DATED.sub("", name))


@functools.cache
def _listed(name: str) -> Price | None:
    """What genai-prices says of a model of OpenAI's or Anthropic's; None where it is not installed or says nothing."""
    try:
        genai_prices: Any = importlib.import_module("genai_prices")
    except ImportError:
        return None
    vendor = "anthropic" if name.startswith("claude-") else "openai"
    try:
        found = genai_prices.calc_price(genai_prices.Usage(input_tokens=0, output_tokens=0), name, provider_id=vendor)
    except LookupError:
        return None
    read, written = _tiers(found.model_price.input_mtok), _tiers(found.model_price.output_mtok)
    if not read or not written:  # priced by the minute or the picture
        return None
    starts = sorted({start for start, _ in (*read, *written)} - {0})
    tiers = tuple((start, _at(read, start), _at(written, start)) for start in starts)
    return Price(_at(read, 0), _at(written, 0), tiers)


def _tiers(price: Any) -> list[tuple[int, float]]:
    """A price of genai-prices as (start, dollars), the base at 0; empty where there is none."""
    if price is None:
        return []
    if hasattr(price, "tiers"):
        return [(0, float(price.base)), *((int(tier.start), float(tier.price)) for tier in price.tiers)]
    return [(0, float(price))]


def _at(tiers: list[tuple[int, float]], start: int) -> float:
    return [price for begin, price in tiers if begin <= start][-1]


def estimated_tokens(text: str) -> int:
    """About how many tokens `text` is: three bytes each, between English (four) and arithmetic (two)."""
    return len(text.encode("utf-8", "surrogatepass")) // 3 + 1
