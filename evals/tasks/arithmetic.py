"""The arithmetic eval: random expressions, their values, and accuracy by depth and length."""

import io
from typing import Literal

from gpt_from_scratch.evals.arithmetic.sample_generation import create_samples
from gpt_from_scratch.evals.protocol.prompts import PromptStyle
from gpt_from_scratch.evals.protocol.samples import EvalResult
from gpt_from_scratch.evals.results import results
from gpt_from_scratch.evals.task import Figure, Task

NAMES = {"relative": "numeric_close", "seed": "seed"}
"""Scorers: within 1 % of the solution; and the original's, equal when both are rounded to two decimals, which credits
"0" for every solution nearer to zero than 0.005.
"""
SHOTS_SEED = -1
"""Of the solved problems that are shown first."""


def arithmetic(
    max_depth: int = 10,
    num_problems: int = 1000,
    seed: int = 0,
    scorer: Literal["relative", "seed", "exact", "includes"] = "relative",
    few_shot: int = 0,
) -> Task:
    """Values of random expressions, with accuracy by depth and length.

    Args:
        max_depth: maximum depth of an expression
        num_problems: number of expressions
        seed: random seed of the expressions
        scorer: "relative" accepts answers within 1 %; "seed" rounds both to two decimals
        few_shot: number of solved problems to show first
    """
    return Task(
        create_samples(max_depth, num_problems, seed),
        scorer=NAMES.get(scorer, scorer),
        style=PromptStyle(few_shot=create_samples(max_depth, few_shot, SHOTS_SEED)),
        max_tokens=64,
        label=f"d{max_depth}-n{num_problems}-s{seed}",
        seed=seed,
        figures=heatmap,
    )


def heatmap(result: EvalResult) -> list[Figure]:
    """The picture for the report: mean accuracy by depth and length."""
    if result.accuracy is None:
        return []
    from gpt_from_scratch.evals.arithmetic.heatmap import plot_heatmap

    image = io.BytesIO()
    plot_heatmap(results.to_dataframe(result), annotate_counts=True, show=False).savefig(image, format="png", dpi=110)
    return [Figure("heatmap.png", "average accuracy by depth and length", image.getvalue())]
