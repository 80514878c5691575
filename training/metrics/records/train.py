"""Record of a training step."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from gpt_from_scratch.training.metrics.metric import Chart, Mark, Metric
from gpt_from_scratch.training.metrics.record import Record

FLOOR = Mark("floor_nats_per_token", "floor")
"""The entropy of the validation text, if it is known: no model can do better."""


@dataclass(frozen=True)
class Train(Record):
    """Metrics of a training step. The loss is the mean over the batch's targets."""

    kind: ClassVar[str] = "train"

    loss: Annotated[
        float | None,
        Metric(
            "loss",
            "nats per token",
            ".3f",
            "lower",
            line="{label} {value}{mark}",
            narrow=True,
            mark=FLOOR,
            chart=Chart("Loss", "nats per token", panel="loss", curve="training", log=True, tokens="alike"),
        ),
    ]
    lr: Annotated[
        float, Metric("learning rate", format=".2g", line="lr {value}", whose="lr_of", chart=Chart("Learning rate"))
    ]
    grad_norm: Annotated[
        float | None,
        Metric(
            "gradient norm",
            format=".2f",
            line="|grad| {value}",
            chart=Chart("Gradient norm", "norm before clipping", log=True),
        ),
    ]
    tokens_per_s: Annotated[
        float,
        Metric(
            "throughput",
            "tokens/s",
            ",.0f",
            "higher",
            line="{value} {unit}",
            narrow=True,
            chart=Chart("Throughput", "tokens/s"),
        ),
    ]
    mfu: Annotated[
        float | None,
        Metric("MFU", format=".1%", better="higher", chart=Chart("Model FLOPs utilisation")),
    ]
    lr_of: str | None = None
    """The optimizer whose learning rate is `lr`: that of the largest group. Older runs lack it (their `lr` is AdamW's)."""
