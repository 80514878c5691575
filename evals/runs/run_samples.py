"""`run_samples`: asks a model every sample and scores the answers, with limits, retries and resume.

from gpt_from_scratch.evals.providers.dispatcher import get_model_provider
from gpt_from_scratch.evals.runs.run_samples import run_samples

result = run_samples(samples, get_model_provider("gpt-4o-mini"), model="gpt-4o-mini", resume_path="runs/mine.jsonl")
"""

import asyncio
import concurrent.futures
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gpt_from_scratch.evals.answers.scorers import Scorer
from gpt_from_scratch.evals.protocol.limits import Limits
from gpt_from_scratch.evals.protocol.pricing import Price
from gpt_from_scratch.evals.protocol.prompts import Asked, PromptStyle
from gpt_from_scratch.evals.protocol.provider import Provider
from gpt_from_scratch.evals.protocol.retry import Backoff
from gpt_from_scratch.evals.protocol.samples import AnySample, EvalResult
from gpt_from_scratch.evals.results.answer_cache import Cache
from gpt_from_scratch.evals.runs.progress import ProgressLine
from gpt_from_scratch.evals.runs.questions import RunOptions
from gpt_from_scratch.evals.runs.run import EvalRun


def run_samples(
    samples: Sequence[AnySample],
    provider: Provider,
    *,
    model: str,
    scorer: str | Scorer | Callable[[str, Asked], Any] = "auto",
    style: PromptStyle = PromptStyle(),  # noqa: B008  (frozen)
    temperature: float = 0.0,
    max_tokens: int = 512,
    epochs: int = 1,
    limit: int | None = None,
    max_concurrency: int = 16,
    max_retries: int = 6,
    backoff: Backoff | None = None,
    limits: Limits = Limits(),  # noqa: B008  (frozen)
    price: Price | None = None,
    cache_dir: Path | str | None = None,
    resume_path: Path | str | None = None,
    seed: int = 0,
    retry_all: bool = False,
    progress: bool = True,
) -> EvalResult:
    """Ask `model` every sample `epochs` times.

    Args:
        scorer: "auto" (choice for an MCQuestion, exact for QA), another name of `scorers.SCORERS`, or your own
        temperature: left out for models that refuse it; each row says what was sent
        max_tokens: of an answer; left out as `temperature` is
        limit: only the first so many samples
        max_concurrency: requests in flight, at most
        max_retries: of one request, after a failure that can pass; `backoff` says how long to wait in between
        limits: on tokens, cost and time; what a resumed record cost before counts
        price: of a model that `pricing` does not know
        cache_dir: answers by their content's hash, shared by any number of runs
        resume_path: the run's record (JSONL). Where it exists the run goes on from it: rows that have an answer are not
            asked again, rows with an error are, where asking again can help
        retry_all: ask again also where it cannot help (a question that cannot be sent or is refused, an answer that is cut)
        seed: decides the order of choices and the jitter of waits

    Returns:
        The rows in the order of the samples. A limit, a refused key or an empty account ends the run early:
        `stopped` says so, and what was not asked has no row.

    Raises:
        ValueError: two samples of one id, or a `resume_path` that records another run.
        MissingKeyError: the provider has no key.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    options = RunOptions(
        model=model,
        style=style,
        temperature=temperature,
        max_tokens=max_tokens,
        epochs=epochs,
        max_concurrency=max_concurrency,
        backoff=dataclasses.replace(backoff or Backoff(), max_retries=max_retries),
        limits=limits,
        price=price,
        cache=Cache(Path(cache_dir)) if cache_dir is not None else None,
        resume_path=Path(resume_path) if resume_path is not None else None,
        seed=seed,
        retry_all=retry_all,
    )
    run = EvalRun(samples[:limit], provider, scorer, options, ProgressLine(model) if progress else None)
    return _run_to_end(run)


def _run_to_end(run: EvalRun) -> EvalResult:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run.result())
    # Inside a loop already, as in a notebook: this call has to block, so the run gets a thread and a loop of its own.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        future = thread.submit(asyncio.run, run.result())
        try:
            return future.result()
        except KeyboardInterrupt:
            run.interrupt()  # leaving the block waits for what is in flight
            raise
