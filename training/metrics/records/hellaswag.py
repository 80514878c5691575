"""Record of HellaSwag during training."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from gpt_from_scratch.training.metrics.metric import Chart, Mark, Metric
from gpt_from_scratch.training.metrics.record import Record

GPT2_HELLASWAG = 0.2955
"""acc_norm of OpenAI's GPT-2 124M, completion style (build-nanogpt)."""


@dataclass(frozen=True)
class HellaSwagRecord(Record):
    """Accuracy on n HellaSwag questions, by the mean log-probability per token (`acc_norm`) and by its sum (`acc`)."""

    kind: ClassVar[str] = "hellaswag"

    acc_norm: Annotated[
        float,
        Metric(
            "HellaSwag",
            format=".4f",
            better="higher",
            mark=Mark(GPT2_HELLASWAG, "OpenAI's GPT-2 124M"),
            chart=Chart(label="accuracy (acc_norm)"),
        ),
    ]
    acc: Annotated[float, Metric("HellaSwag, by the sum", format=".4f", line="", chart=None)]
    n: Annotated[int, Metric("questions", format=",", line="{value} {label}", chart=None)]
