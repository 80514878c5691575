"""What a token costs, so that a run can say so before it spends anything, and stop at a limit."""

import dataclasses
import re

from gpt_from_scratch.evals.messages import Usage

AS_OF = "2025-12"
"""When the table was read from the vendors' public price pages. Prices change: pass your own `Price` to be sure."""


@dataclasses.dataclass(frozen=True)
class Price:
    """US dollars for a million tokens."""

    input: float
    output: float

    def cost(self, usage: Usage) -> float:
        """US dollars for `usage`."""
        return (usage.input_tokens * self.input + usage.output_tokens * self.output) / 1e6


FREE = Price(0.0, 0.0)

PRICES = {
    "gpt-3.5-turbo": Price(0.50, 1.50),
    "gpt-4o": Price(2.50, 10.00),
    "gpt-4o-mini": Price(0.15, 0.60),
    "gpt-4.1": Price(2.00, 8.00),
    "gpt-4.1-mini": Price(0.40, 1.60),
    "gpt-4.1-nano": Price(0.10, 0.40),
    "gpt-5": Price(1.25, 10.00),
    "gpt-5-mini": Price(0.25, 2.00),
    "gpt-5-nano": Price(0.05, 0.40),
    "gpt-5.1": Price(1.25, 10.00),
    "o1": Price(15.00, 60.00),
    "o3": Price(2.00, 8.00),
    "o3-mini": Price(1.10, 4.40),
    "o4-mini": Price(1.10, 4.40),
    "claude-3-haiku": Price(0.25, 1.25),
    "claude-3-5-haiku": Price(0.80, 4.00),
    "claude-3-5-sonnet": Price(3.00, 15.00),
    "claude-3-7-sonnet": Price(3.00, 15.00),
    "claude-haiku-4-5": Price(1.00, 5.00),
    "claude-sonnet-4": Price(3.00, 15.00),
    "claude-sonnet-4-5": Price(3.00, 15.00),
    "claude-opus-4": Price(15.00, 75.00),
    "claude-opus-4-1": Price(15.00, 75.00),
    "claude-opus-4-5": Price(5.00, 25.00),
}

_DATED = re.compile(r"(-\d{4}-\d{2}-\d{2}|-\d{8}|-\d{4}|-latest)$")


def price_of(model_id: str) -> Price | None:
    """The price of a model, or None where none is known. A dated snapshot costs what its family does."""
    if model_id in ("echo", "oracle") or model_id.startswith("local/"):
        return FREE
    name = model_id.removeprefix("function-calling-")
    return PRICES.get(name) or PRICES.get(_DATED.sub("", name))


def estimated_tokens(text: str) -> int:
    """About how many tokens `text` is: three bytes each, between English (four) and arithmetic (two)."""
    return len(text.encode("utf-8", "surrogatepass")) // 3 + 1
