"""The arithmetic eval: generate problems, ask a model, and give the results as a table.

from gpt_from_scratch.evals.arithmetic_eval import arithmetic_eval, visualization

df = arithmetic_eval.create_and_run_eval(model="gpt-4o-mini", max_depth=10, num_problems=10000)
visualization.plot_heatmap(df)
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt_from_scratch.evals import results
from gpt_from_scratch.evals.arithmetic_eval.sample_generation import convert_solved_problem_to_sample, generate_problems
from gpt_from_scratch.evals.dispatcher import get_model_provider
from gpt_from_scratch.evals.prompts import Asked, PromptStyle
from gpt_from_scratch.evals.provider import Provider
from gpt_from_scratch.evals.providers.offline import OracleProvider
from gpt_from_scratch.evals.runner import run_samples
from gpt_from_scratch.evals.samples import QA, EvalResult
from gpt_from_scratch.evals.scorers import Scorer

if TYPE_CHECKING:
    import pandas as pd

NAMES = {"relative": "numeric_close", "seed": "seed"}
"""Scorers: within 1 % of the solution; and the original's, equal when both are rounded to two decimals, which credits
"0" for every solution nearer to zero than 0.005.
"""

_SHOTS_SEED = -1


def create_and_run_eval(
    model: str,
    max_depth: int,
    num_problems: int,
    *,
    seed: int = 0,
    scorer: str | Scorer | Callable[[str, Asked], Any] = "relative",
    few_shot: int = 0,
    provider: Provider | None = None,
    **run_options: Any,
) -> "pd.DataFrame":
    """Ask `model` for the values of `num_problems` expressions at most `max_depth` deep.

    Args:
        seed: of the problems: two models with one seed are asked the same
        scorer: "relative" (within 1 %), "seed" (the original's), or any that `run_samples` takes
        few_shot: how many solved problems to show first; they come from another seed
        provider: of the model; None looks it up in `PROVIDERS`. The model "oracle" knows every answer.
        run_options: `run_samples`' (max_concurrency, limits, cache_dir, resume_path, ...)

    Returns:
        A row a problem: evalugator's columns (input, output, output_parsed, output_correct, score, sample.id,
        sample.splits.max_problem_depth, sample.splits.problem_length, ...), then ours (error, cost, ...).
    """
    options = {"seed": seed, "scorer": scorer, "few_shot": few_shot, "provider": provider, **run_options}
    return results.to_dataframe(run_eval(model, max_depth, num_problems, **options))


def run_eval(
    model: str,
    max_depth: int,
    num_problems: int,
    *,
    seed: int = 0,
    scorer: str | Scorer | Callable[[str, Asked], Any] = "relative",
    few_shot: int = 0,
    provider: Provider | None = None,
    **run_options: Any,
) -> EvalResult:
    """`create_and_run_eval`, with the whole result."""
    samples = create_samples(max_depth, num_problems, seed)
    if provider is None:
        provider = OracleProvider(samples) if model == "oracle" else get_model_provider(model)
    if isinstance(scorer, str):
        scorer = NAMES.get(scorer, scorer)
    style = PromptStyle(few_shot=create_samples(max_depth, few_shot, _SHOTS_SEED))
    options = {"max_tokens": 64, "seed": seed, "style": style, **run_options}
    return run_samples(samples, provider, model=model, scorer=scorer, **options)


def create_samples(max_depth: int, num_problems: int, seed: int) -> list[QA]:
    """The problems of a seed, as samples."""
    return [convert_solved_problem_to_sample(problem) for problem in generate_problems(max_depth, num_problems, seed)]


def default_folder(model: str, max_depth: int, num_problems: int, seed: int) -> Path:
    """Where the command keeps a run: the same place for the same run, so that it is gone on with."""
    safe = "".join(character if character.isalnum() or character in "-._" else "_" for character in model)
    return Path("runs") / "evals" / f"arithmetic-{safe}-d{max_depth}-n{num_problems}-s{seed}"
