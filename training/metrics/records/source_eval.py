"""Record of a validation on one source of a mixture."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from gpt_from_scratch.training.metrics.metric import Metric
from gpt_from_scratch.training.metrics.record import Record


@dataclass(frozen=True)
class SourceEval(Record):
    """Score on the whole validation set of one source."""

    kind: ClassVar[str] = "source_eval"
    counts: ClassVar[Literal["last", "together", "always"]] = "together"

    source: str
    loss: Annotated[
        float | None,
        Metric("  loss", "nats per token", ".4f", "lower", line="{label} {value}", chart=None),
    ]
    bits_per_byte: Annotated[
        float | None, Metric("bits per byte", format=".4f", better="lower", line="{value} {label}", chart=None)
    ]
    ratio: Annotated[
        float | None, Metric("÷ floor", format=".3f", better="lower", line="{value} x the floor", chart=None)
    ]
