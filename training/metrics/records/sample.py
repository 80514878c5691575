"""Record of a sample."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from gpt_from_scratch.training.metrics.record import Record


@dataclass(frozen=True)
class SampleRecord(Record):
    """A text that the model generated after a prompt, with the judgements about it, if known."""

    kind: ClassVar[str] = "sample"
    counts: ClassVar[Literal["last", "together", "always"]] = "together"

    text: str
    prompt: str
    grammatical: bool | None
    novel: bool | None
