"""Prices of tokens, for the cost estimate before a run and for cost limits."""

import dataclasses
import functools
import importlib
import importlib.metadata
import math
import re
from collections.abc import Mapping
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


@dataclasses.dataclass(frozen=True)
class PriceList:
    """Prices of a vendor's models. A list is asked from when it is made on: `PRICE_LISTS`.

    models: the ids that it is asked about
    prices: by name; a snapshot whose price is not its family's stands alone. They are asked behind genai-prices, where that
        is not installed or lacks a model.
    vendor: what genai-prices calls the vendor; None: it is not asked
    free: every model costs nothing, unless a server has it
    """

    models: re.Pattern[str]
    prices: Mapping[str, Price] = dataclasses.field(default_factory=dict)
    vendor: str | None = None
    free: bool = False

    def __post_init__(self) -> None:
        PRICE_LISTS.append(self)


PRICE_LISTS: list[PriceList] = []
"""Every list there is; a provider's file makes its own."""

_DATED = re.compile(r"(-\d{4}-\d{2}-\d{2}|-\d{8}|-\d{4}|-latest)$")


def price_of(model_id: str, *, served: bool = False) -> Price | None:
    """The price of a model, or None where none is known: by `genai-prices` where it is installed, else by our tables.

    served: a server has the model, so that none is free by its name
    """
    name = model_id.removeprefix("function-calling-")
    if not served and any(one.free for one in _lists(name)):
        return FREE
    return _listed(name) or _in_table(name)


def source_of(model_id: str) -> str:
    """Source of a model's price in `price_of`."""
    name = model_id.removeprefix("function-calling-")
    listed = _listed(name)
    return AS_OF if listed in (None, _in_table(name)) else f"genai-prices {importlib.metadata.version('genai-prices')}"


def _lists(name: str) -> list[PriceList]:
    return [one for one in PRICE_LISTS if one.models.match(name)]


def _in_table(name: str) -> Price | None:
    found = (one.prices.get(name) or one.prices.get(_DATED.sub("", name)) for one in _lists(name))
    return next((price for price in found if price is not None), None)


def _listed(name: str) -> Price | None:
    found = (_by_genai_prices(name, one.vendor) for one in _lists(name) if one.vendor is not None)
    return next((price for price in found if price is not None), None)


@functools.cache
def _by_genai_prices(name: str, vendor: str) -> Price | None:
    """The price of a vendor's model in genai-prices; None if unknown or not installed."""
    try:
        genai_prices: Any = importlib.import_module("genai_prices")
    except ImportError:
        return None
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
