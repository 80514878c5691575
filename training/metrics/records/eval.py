"""Record of a validation."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from gpt_from_scratch.training.metrics.metric import Chart, Mark, Metric
from gpt_from_scratch.training.metrics.record import Record
from gpt_from_scratch.training.metrics.records.train import FLOOR


@dataclass(frozen=True)
class Eval(Record):
    """Score on the whole validation set. The floor is the entropy of the same text, if it is known."""

    kind: ClassVar[str] = "eval"

    loss: Annotated[
        float | None,
        Metric(
            "validation loss",
            "nats per token",
            ".4f",
            "lower",
            line="{label} {value}",
            result=True,
            mark=FLOOR,
            chart=Chart("Loss", "nats per token", panel="loss", curve="validation", log=True, tokens="alike"),
        ),
    ]
    bits_per_byte: Annotated[
        float | None,
        Metric(
            "bits per byte",
            format=".4f",
            better="lower",
            line="{value} {label}",
            result=True,
            chart=Chart(
                "Bits per byte: the runs' tokenizers differ, so their losses per token cannot be compared",
                "validation, bits per byte",
                log=True,
                tokens="different",
            ),
        ),
    ]
    ratio: Annotated[
        float | None,
        Metric(
            "total nats ÷ floor",
            format=".3f",
            better="lower",
            line="{value} x the floor",
            result=True,
            mark=Mark(1.0, "the floor: no model is better on average"),
            chart=Chart("Validation nats ÷ floor nats", "total nats ÷ floor nats", log=True),
        ),
    ]
    nats: Annotated[float | None, Metric("total nats", format=",.0f", line="", chart=None)]
    floor_nats: Annotated[float | None, Metric("the floor's total nats", format=",.0f", line="", chart=None)]
