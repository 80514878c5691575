"""`Task`: a text eval, with its samples, prompt, scorer and pictures."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gpt_from_scratch.evals.answers.scorers import Scorer
from gpt_from_scratch.evals.protocol.prompts import PromptStyle
from gpt_from_scratch.evals.protocol.provider import Provider
from gpt_from_scratch.evals.protocol.samples import AnySample, EvalResult
from gpt_from_scratch.evals.providers.dispatcher import get_model_provider
from gpt_from_scratch.evals.providers.offline import OracleProvider
from gpt_from_scratch.evals.runs.run_samples import run_samples


class Figure(NamedTuple):
    """A picture of a report: its file's name, its title, and a PNG."""

    name: str
    title: str
    png: bytes


def no_figures(result: EvalResult) -> list[Figure]:
    """A report without pictures."""
    return []


@dataclasses.dataclass(frozen=True)
class Task:
    """A text eval.

    samples: what is asked
    scorer: how an answer is judged: a name of `scorers.SCORERS`, or a scorer
    style: what stands around every question
    max_tokens: of one answer, where the command names no other
    label: what tells this task's settings from others in the name of a run's folder
    seed: of the order of choices and of sampling
    figures: the pictures of a finished run
    """

    samples: Sequence[AnySample]
    scorer: str | Scorer = "auto"
    style: PromptStyle = PromptStyle()  # noqa: RUF009  (frozen)
    max_tokens: int = 512
    label: str = ""
    seed: int = 0
    figures: Callable[[EvalResult], list[Figure]] = no_figures


def run_task(task: Task, model: str, provider: Provider | None = None, **options: Any) -> EvalResult:
    """The result of a task.

    Args:
        model: its name; "oracle" knows every answer and "echo" none
        provider: of the model; None looks it up by the name
        options: those of `run_samples`
    """
    if provider is None:
        provider = OracleProvider(task.samples) if model == "oracle" else get_model_provider(model)
    defaults = {"scorer": task.scorer, "style": task.style, "max_tokens": task.max_tokens, "seed": task.seed}
    return run_samples(task.samples, provider, model=model, **{**defaults, **options})


def folder_of(name: str, task: Task, model: str) -> Path:
    """The folder of a run, equal for equal settings, so that the same command resumes it."""
    safe = "".join(character if character.isalnum() or character in "-._" else "_" for character in model)
    return Path("runs") / "evals" / "-".join(part for part in (name, safe, task.label) if part)
