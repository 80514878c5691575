"""Problems of the arithmetic eval: reproducible, distinct and exact."""

import collections
import itertools
import random
import re
import subprocess
import sys

import pytest

from gpt_from_scratch.evals.answers.scorers import get_scorer
from gpt_from_scratch.evals.arithmetic.expressions import evaluate
from gpt_from_scratch.evals.arithmetic.sample_generation import (
    SolvedProblem,
    convert_solved_problem_to_sample,
    generate_problems,
    generate_solved_problem,
)
from gpt_from_scratch.evals.protocol.prompts import PromptStyle, ask

PROBLEMS = list(generate_problems(10, 400, seed=0))


def depth_of(problem: str) -> int:
    return max(itertools.accumulate((character == "(") - (character == ")") for character in problem))


def test_solutions_are_exact_and_depths_are_counted() -> None:
    for solved in PROBLEMS:
        value = evaluate(solved.problem)
        assert solved.solution == float(value) and abs(value) < 1e10
        assert solved.max_problem_depth == depth_of(solved.problem) <= 10


def test_the_seed_decides_everything() -> None:
    assert PROBLEMS[:200] == list(generate_problems(10, 200, seed=0)) != list(generate_problems(10, 200, seed=1))
    random.seed(5)
    assert next(iter(generate_problems(3, 1, seed=7))) == SolvedProblem("((2 + 9) - 10)", 2, 1.0)


def test_every_depth_has_problems_and_none_comes_twice() -> None:
    depths = collections.Counter(solved.max_problem_depth for solved in PROBLEMS)
    assert depths.keys() == set(range(1, 11)) and min(depths.values()) >= 15
    assert len({solved.problem for solved in PROBLEMS}) == 400
    assert all(solved.problem.startswith("(") for solved in PROBLEMS), "a bare number is no problem"


def test_bounds() -> None:
    for depth in (0, 21):
        with pytest.raises(ValueError, match="max_depth must be 1 to 20"):
            generate_solved_problem(depth)
    assert generate_solved_problem(2).max_problem_depth <= 2


def test_more_problems_than_there_are() -> None:
    """In a process of its own, where the tests' shape checks do not slow the many draws down."""
    code = (
        "from gpt_from_scratch.evals.arithmetic.sample_generation import generate_problems\n"
        "list(generate_problems(1, 450, seed=0))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert re.search(r"ValueError: only 430 different problems of max_depth=1 came up, not 450", run.stderr)


def test_samples() -> None:
    sample = convert_solved_problem_to_sample(SolvedProblem("(7 - 9)", 1, -2.0))
    assert sample.splits == {"max_problem_depth": "1", "problem_length": "7"} and sample.ideal_answers == ["-2"]
    assert sample.body[-1].content == "Problem: (7 - 9)" and sample.body[0].role == "system"
    assert convert_solved_problem_to_sample(SolvedProblem("(1 / 3)", 1, 1 / 3)).ideal_answers == ["0.3333333333333333"]
    samples = [convert_solved_problem_to_sample(solved) for solved in PROBLEMS]
    assert len({sample.id for sample in samples}) == 400


def test_the_ideal_answer_is_right_by_every_scorer_and_zero_is_not() -> None:
    relative, two_decimals = get_scorer("numeric_close"), get_scorer("seed")
    samples = [ask(convert_solved_problem_to_sample(solved), PromptStyle()) for solved in PROBLEMS if solved.solution]
    for asked in samples:
        for scorer in (relative, two_decimals, get_scorer("exact")):
            assert scorer(asked.ideal_answers[0], asked).value == 1.0
    credited = sum(two_decimals("0", asked).value for asked in samples)
    assert credited / len(samples) > 0.05, "what the original's rule credits"
    assert sum(relative("0", asked).value for asked in samples) == 0.0
