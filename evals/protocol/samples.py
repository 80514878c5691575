"""Questions and their results: the pydantic models of `evalugator.structs`, field by field, ours after theirs."""

import datetime
from typing import Any, Literal

import pydantic
from pydantic import BaseModel, Field

from gpt_from_scratch.evals.protocol.messages import Prompt


class Sample(BaseModel):
    """Base class of samples. `splits` are labels to group results by; their values are strings."""

    id: str
    splits: dict[str, str] = {}
    comments: str | None = None
    scores: dict[str, Any] = {}
    type: str = "Sample"
    extra_template_vars: dict[str, Any] = {}
    created_by: str = "unknown"


class Question(Sample):
    """A sample with a question: text, or a conversation."""

    type: str = "Question"
    body: str | Prompt


class QA(Question):
    """A question and the answers that count as right."""

    type: Literal["QA"] = "QA"
    ideal_answers: list[str]


class MCQuestion(Question):
    """A question with choices. `choices_order` permutes right + wrong; None leaves the order to the run's seed."""

    type: Literal["MCQuestion"] = "MCQuestion"
    choices_right: list[str]
    choices_wrong: list[str]
    choices_order: list[int] | None = None

    @pydantic.model_validator(mode="after")
    def _check(self) -> "MCQuestion":
        count = len(self.choices_right) + len(self.choices_wrong)
        if not self.choices_right or count > 26:
            raise ValueError(
                f"sample {self.id!r}: give at least one right choice and at most 26 in all, not "
                f"{len(self.choices_right)} right of {count}"
            )
        if self.choices_order is not None and sorted(self.choices_order) != list(range(count)):
            raise ValueError(
                f"sample {self.id!r}: choices_order must be a permutation of 0..{count - 1}, not {self.choices_order}"
            )
        return self


AnySample = QA | MCQuestion


class SampleResult(BaseModel):
    """One sample, asked and scored. The fields up to `score` are evalugator's, the rest are ours.

    `score` is None where there is no answer to score: then `error` says why.
    """

    input: str | Prompt
    other_output: Any = None
    output: str | list[Any] | dict[str, float] | None
    output_parsed: str | None
    output_correct: str | list[str] | None
    sample: AnySample
    score: float | None

    epoch: int = 0
    error: str | None = None
    error_kind: str | None = None
    permanent: bool = False
    """Whether asking again cannot cure the error: the question cannot be sent, or its answer is cut."""
    served_model: str | None = None
    parameters: dict[str, Any] = {}
    prompt_hash: str = ""
    finish_reason: str | None = None
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    cost: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    retries: int = 0
    seconds: float = 0.0
    cached: bool = False


class Counts(BaseModel):
    """Numbers of right, wrong and unreadable answers."""

    total_correct: int
    total_incorrect: int
    incorrect_and_parsable: int
    incorrect_and_unparsable: int


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


class SampleSetResult(BaseModel):
    """The results of a set of samples; `accuracy` is the mean score of those that were answered."""

    created_at: str = Field(default_factory=_now)
    completer: str
    accuracy: float | None
    counts: Counts
    confusion_table: Any = None
    confusion_table_legend: Any = None
    comments: str | None = None
    sample_results: list[SampleResult]


class EvalResult(SampleSetResult):
    """A whole run. `stopped` says which limit ended it before every sample was asked; None is a complete run."""

    id: str
    eval_spec: Any = None
    command_run: str | None = None
    created_by: str = "gpt_from_scratch"
    save_path: str | None = None

    stopped: str | None = None
    requested: int = 0
    """Number of requested answers: samples times epochs."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    retries: dict[str, int] = {}
    """Number of retries by kind of failure (its HTTP status or its name)."""

    @property
    def errors(self) -> list[SampleResult]:
        return [result for result in self.sample_results if result.error is not None]
