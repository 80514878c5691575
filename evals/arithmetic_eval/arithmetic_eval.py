"""The arithmetic eval: generate problems, ask a model, and give the results as a table.

from gpt_from_scratch.evals.arithmetic_eval import arithmetic_eval, visualization

df = arithmetic_eval.create_and_run_eval(model="gpt-4o-mini", max_depth=10, num_problems=10000)
visualization.plot_heatmap(df)
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gpt_from_scratch.evals.answers.scorers import Scorer
from gpt_from_scratch.evals.protocol.prompts import Asked
from gpt_from_scratch.evals.protocol.provider import Provider
from gpt_from_scratch.evals.protocol.samples import EvalResult
from gpt_from_scratch.evals.results import results
from gpt_from_scratch.evals.task import run_task
from gpt_from_scratch.evals.tasks.arithmetic import NAMES, arithmetic

if TYPE_CHECKING:
    import pandas as pd


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
    task = arithmetic(max_depth, num_problems, seed, few_shot=few_shot)
    judge = NAMES.get(scorer, scorer) if isinstance(scorer, str) else scorer
    return run_task(task, model, provider, scorer=judge, **run_options)
