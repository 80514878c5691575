"""A text that the model wrote."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from gpt_from_scratch.training.metrics.record import Record


@dataclass(frozen=True)
class Sample(Record):
    """What the model wrote after a prompt; whether the grammar accepts it and the training text lacks it, if known."""

    kind: ClassVar[str] = "sample"
    counts: ClassVar[Literal["last", "together", "always"]] = "together"

    text: str
    prompt: str
    grammatical: bool | None
    novel: bool | None
