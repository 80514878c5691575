"""HellaSwag's questions, answered while a model trains."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from gpt_from_scratch.training.metrics.metric import Chart, Mark, Metric
from gpt_from_scratch.training.metrics.record import Record

GPT2_HELLASWAG = 0.2955
"""acc_norm of OpenAI's GPT-2 124M, completion style (build-nanogpt)."""


@dataclass(frozen=True)
class HellaSwag(Record):
    """The part of HellaSwag's n questions that is right, by log-probability a token (`acc_norm`) and in all (`acc`)."""

    kind: ClassVar[str] = "hellaswag"

    acc_norm: Annotated[
        float,
        Metric(
            "HellaSwag",
            format=".4f",
            better="higher",
            mark=Mark(GPT2_HELLASWAG, "OpenAI's GPT-2 124M"),
            chart=Chart(label="part that is right (acc_norm)"),
        ),
    ]
    acc: Annotated[float, Metric("HellaSwag, by the sum", format=".4f", line="", chart=None)]
    n: Annotated[int, Metric("questions", format=",", line="{value} {label}", chart=None)]
