"""Random arithmetic problems with their exact solutions, as samples."""

import dataclasses
import hashlib
import logging
import random
from collections.abc import Iterator

from gpt_from_scratch.evals.arithmetic.expressions import ExpressionError, evaluate
from gpt_from_scratch.evals.protocol.messages import Message
from gpt_from_scratch.evals.protocol.samples import QA

logger = logging.getLogger(__name__)

STOP_PROBABILITY = 0.3
"""Probability that an operand is a number although the depth would allow an operation."""

MOST_MAGNITUDE = 10**10
MOST_ATTEMPTS = 1000
MOST_DEPTH = 20
MOST_PROBLEMS = 1_000_000
"""A level more makes problems a quarter longer on average: at 20 they have hundreds of characters."""

SYSTEM_PROMPT = """Compute the value of the arithmetic problem. Answer with the number alone: no words, no steps. \
"**" is a power; give decimals where the value is no integer, to at least four significant digits.

Example:
Problem: (((2 - 4) - (6 / 3)) + ((1 ** 2) * 3))
-1"""


@dataclasses.dataclass(frozen=True)
class SolvedProblem:
    """`solution` is the float next to the exact value; `max_problem_depth` is that of the deepest operand."""

    problem: str
    max_problem_depth: int
    solution: float


def generate_solved_problem(max_depth: int, rng: random.Random | None = None) -> SolvedProblem:
    """A problem whose outermost operation is at depth 0, with operands 1 to 10 no deeper than `max_depth`.

    Drawn again where it divides by zero, exceeds `evaluate`'s bounds, or its value is 10^10 or more.

    Raises:
        ValueError: max_depth is not 1 to 20.
    """
    _check_depth(max_depth)
    rng = rng or random.Random()
    for attempt in range(MOST_ATTEMPTS):
        problem, depth = _draw(rng, max_depth, 0)
        try:
            value = evaluate(problem)
        except ExpressionError as error:
            logger.debug("attempt %d: %s has %s", attempt, problem, error)
            continue
        if abs(value) < MOST_MAGNITUDE:
            return SolvedProblem(problem, depth, float(value))
    raise RuntimeError(f"no solvable problem in {MOST_ATTEMPTS} attempts at max_depth={max_depth}")


def _check_depth(max_depth: int) -> None:
    if not 1 <= max_depth <= MOST_DEPTH:
        raise ValueError(f"max_depth must be 1 to {MOST_DEPTH}, not {max_depth}")


def _draw(rng: random.Random, max_depth: int, depth: int) -> tuple[str, int]:
    """An operand at `depth`, and the depth of its deepest part."""
    if depth >= max_depth or (depth > 0 and rng.random() < STOP_PROBABILITY):
        return str(rng.randint(1, 10)), depth
    operator = rng.choice(("+", "-", "*", "/", "**"))
    left, left_depth = _draw(rng, max_depth, depth + 1)
    if operator == "**":  # small, so that values stay within reach
        right, right_depth = str(rng.randint(2, 4)), depth + 1
    else:
        right, right_depth = _draw(rng, max_depth, depth + 1)
    return f"({left} {operator} {right})", max(left_depth, right_depth)


def generate_problems(max_depth: int, count: int, seed: int) -> Iterator[SolvedProblem]:
    """`count` different problems; the same for the same arguments, and the first n of a longer list are the list of n.

    Each is drawn with a bound of its own from 1 to `max_depth`, so that every depth has problems: with one bound for
    all, two thirds would be as deep as it allows.

    Raises:
        ValueError: max_depth is not 1 to 20, `count` is above MOST_PROBLEMS, or so many different problems are out of reach.
    """
    _check_depth(max_depth)
    if count > MOST_PROBLEMS:
        raise ValueError(f"{count} problems are too many: ask for at most {MOST_PROBLEMS:,}")
    rng, seen, repeats = random.Random(seed), set[str](), 0
    while len(seen) < count:
        problem = generate_solved_problem(rng.randint(1, max_depth), rng)
        if problem.problem not in seen:
            seen.add(problem.problem)
            yield problem
        elif (repeats := repeats + 1) > 20 * count + 100:
            raise ValueError(
                f"only {len(seen)} different problems of max_depth={max_depth} came up, not {count}: ask for fewer, or "
                f"deeper ones"
            )


def convert_solved_problem_to_sample(solved: SolvedProblem) -> QA:
    """The sample that asks a problem. Its id is the problem's hash, so that runs over the same problems can be paired."""
    integer = solved.solution.is_integer()
    return QA(
        id=f"arithmetic-{hashlib.sha256(solved.problem.encode()).hexdigest()[:16]}",
        splits={
            "max_problem_depth": str(solved.max_problem_depth),
            "problem_length": str(len(solved.problem)),
        },
        created_by="gpt_from_scratch",
        body=[Message("system", SYSTEM_PROMPT), Message("user", f"Problem: {solved.problem}")],
        ideal_answers=[str(int(solved.solution)) if integer else repr(solved.solution)],
    )


def create_samples(max_depth: int, num_problems: int, seed: int) -> list[QA]:
    """The problems of a seed, as samples."""
    return [convert_solved_problem_to_sample(problem) for problem in generate_problems(max_depth, num_problems, seed)]
