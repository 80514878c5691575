"""Limits of a run, and the account that enforces them."""

import dataclasses
import math
import time

from gpt_from_scratch.evals.protocol.messages import Usage
from gpt_from_scratch.evals.protocol.pricing import Price


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of a run; None is no limit.

    A run that reaches one stops with every answer saved, and can continue with a higher one.

    tokens: read and written, together
    cost: US dollars; needs a model whose price is known, or a `price` given to the run
    seconds: no request begins after this time
    """

    tokens: int | None = None
    cost: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and not value > 0:
                raise ValueError(f"the limit on {field.name} must be above 0, not {value}")


class Account:
    """Account of the tokens and costs that were used, or may be used by requests in flight.

    A request is admitted only if it fits even when all requests in flight use their maximum, so the limits hold. The
    exception is a single answer that needs several requests (function calling): its later ones are not foreseen.
    """

    def __init__(self, limits: Limits, price: Price | None) -> None:
        if limits.cost is not None and price is None:
            raise ValueError(
                "a limit on cost needs the model's price: give price=Price(input, output), or --price IN OUT, in dollars a "
                "million tokens"
            )
        self.limits = limits
        self.price = price
        self.used = Usage()
        self.cost = 0.0
        self.in_flight = 0
        self._reserved = Usage()
        self._uncounted = Usage()
        self._started = time.monotonic()

    def settle(self, usage: Usage, cost: float | None, uncounted: Usage = Usage()) -> None:  # noqa: B008  (frozen)
        """Note what was used, and what may have been used beyond it where a server did not say."""
        counts = (*dataclasses.astuple(usage), *dataclasses.astuple(uncounted), cost or 0.0)
        if not all(0 <= count < math.inf for count in counts):  # also NaN, below which no limit would be reached
            raise ValueError(
                f"tokens and costs are numbers of at least 0, not {counts}: mend the scorer or the provider"
            )
        self.used += usage
        self._uncounted += uncounted
        self.cost += cost or 0.0

    def seconds_left(self) -> float:
        """Seconds in which requests may still start; infinite without a time limit."""
        seconds = self.limits.seconds
        return float("inf") if seconds is None else seconds - (time.monotonic() - self._started)

    def why_not(self, most: Usage) -> str | None:
        """The limit that a request of at most `most` would break, counting those in flight; None where it fits."""
        limits, wanted = self.limits, self._reserved + most
        if self.seconds_left() <= 0:
            return f"the limit of {limits.seconds:g} seconds was reached"
        if limits.tokens is not None and (self.used + self._uncounted + wanted).total > limits.tokens:
            return f"the limit of {limits.tokens} tokens leaves no room for another answer ({self.used.total} used)"
        if limits.cost is not None and self.price is not None and self.cost + self.price.cost(wanted) > limits.cost:
            return f"the limit of ${limits.cost:g} leaves no room for another answer (${self.cost:.4f} spent)"
        return None

    def reserve(self, most: Usage) -> None:
        """A request begins."""
        self._reserved += most
        self.in_flight += 1

    def release(self, most: Usage) -> None:
        """It ended; `settle` notes what it used."""
        self._reserved -= most
        self.in_flight -= 1
