"""Coverage of the evals' 95 % intervals, and their width beside the normal interval's.

    python -m gpt_from_scratch.benchmarks.evals.interval_coverage [--draws 4000] [--out benchmarks/results/interval_coverage.md]

Proportions and pairs of scores of 0 and 1 are counted exactly, over every outcome and a grid of truths, of which the worst
is shown; graded scores, epochs and graded pairs are drawn.
"""

import argparse
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from gpt_from_scratch.evals.protocol import stats

Interval = tuple[float, float]
Row = tuple[str, int, float, float, float, float]
"""What was asked, how many questions, coverage and mean width of ours, and of the normal interval."""


def main() -> None:
    """Simulate, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/interval_coverage.md"))
    given = parser.parse_args()
    lines = [
        "# Coverage of the evals' 95 % intervals",
        "",
        f"`python -m gpt_from_scratch.benchmarks.evals.interval_coverage --draws {given.draws}`: "
        f"a share of {given.draws} draws has "
        f"a standard error of {math.sqrt(0.95 * 0.05 / given.draws):.4f}.",
        "",
        "| | questions | holds the truth | mean width | the normal one holds it | mean width |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    print(*lines, sep="\n")
    for what, n, held, width, normal, normal_width in itertools.chain(proportions(), pairs(), drawn(given.draws)):
        lines.append(f"| {what} | {n} | {held:.3f} | {width:.3f} | {normal:.3f} | {normal_width:.3f} |")
        print(lines[-1], flush=True)
    given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def normal(scores: np.ndarray) -> Interval:
    """The mean and 1.96 standard errors around it."""
    half = 1.96 * float(scores.std(ddof=1)) / math.sqrt(len(scores)) if len(scores) > 1 else 0.0
    return float(scores.mean()) - half, float(scores.mean()) + half


def proportions() -> Iterator[Row]:
    """Right and wrong answers: the worst truth of a grid."""
    for n in (3, 10, 30, 100, 300):
        ours = [stats.proportion_interval(k, n) for k in range(n + 1)]
        theirs = [normal(np.repeat([1.0, 0.0], [k, n - k])) for k in range(n + 1)]
        rows = []
        for p in np.concatenate([np.geomspace(0.001, 0.1, 40), np.linspace(0.1, 0.5, 81)]):
            chances = np.array([math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)])
            rows.append([*counted(ours, chances, p), *counted(theirs, chances, p)])
        yield ("right or wrong, worst truth", n, *worst(rows))


def pairs() -> Iterator[Row]:
    """Pairs of right and wrong answers: the worst of a grid of how many differ and how many of them for the better."""
    for n in (3, 10, 30):
        outcomes = [(up, down) for up in range(n + 1) for down in range(n + 1 - up)]
        differences = [np.repeat([1.0, -1.0, 0.0], [up, down, n - up - down]) for up, down in outcomes]
        ours, theirs = [paired(one) for one in differences], [normal(one) for one in differences]
        rows = []
        for share, better in itertools.product((0.03, 0.1, 0.3, 0.6, 1.0), np.linspace(0.5, 1, 6)):
            chances = np.array(
                [
                    math.comb(n, up)
                    * math.comb(n - up, down)
                    * (share * better) ** up
                    * (share * (1 - better)) ** down
                    * (1 - share) ** (n - up - down)
                    for up, down in outcomes
                ]
            )
            truth = share * (2 * better - 1)
            rows.append([*counted(ours, chances, truth), *counted(theirs, chances, truth)])
        yield ("pairs of right or wrong, worst truth", n, *worst(rows))


def paired(differences: np.ndarray) -> Interval:
    """The interval of `paired_difference` for scores that differ so."""
    a = {str(i): max(0.0, -float(difference)) for i, difference in enumerate(differences)}
    b = {str(i): max(0.0, float(difference)) for i, difference in enumerate(differences)}
    return stats.paired_difference(a, b).interval


def counted(intervals: list[Interval], chances: np.ndarray, truth: float) -> tuple[float, float]:
    """Coverage and mean width over outcomes of the given chances."""
    held = [low - 1e-12 <= truth <= high + 1e-12 for low, high in intervals]
    return float(chances @ np.array(held)), float(chances @ np.array([high - low for low, high in intervals]))


def worst(rows: list[list[float]]) -> tuple[float, float, float, float]:
    """The least coverage of either, and the mean of the widths."""
    table = np.array(rows)
    return float(table[:, 0].min()), float(table[:, 1].mean()), float(table[:, 2].min()), float(table[:, 3].mean())


def drawn(draws: int) -> Iterator[Row]:
    """Graded scores, epochs of questions that are hard or easy for good, and graded pairs."""
    grades = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
    kinds: dict[str, tuple[float, Callable[[np.random.Generator, int], np.ndarray]]] = {
        "five grades": (0.675, lambda rng, n: rng.choice(grades, size=n, p=[0.1, 0.1, 0.2, 0.2, 0.4])),
        "nearly always 1": (0.945, lambda rng, n: rng.choice([1.0, 0.9, 0.0], size=n, p=[0.9, 0.05, 0.05])),
        "skewed (beta 0.2, 3)": (0.2 / 3.2, lambda rng, n: rng.beta(0.2, 3.0, size=n)),
        "even": (0.5, lambda rng, n: rng.random(n)),
        "mean of 5 epochs": (0.5, lambda rng, n: rng.binomial(5, rng.beta(0.5, 0.5, size=n)) / 5),
        "mean of 3 epochs, hard": (0.1, lambda rng, n: rng.binomial(3, rng.beta(0.2, 1.8, size=n)) / 3),
    }
    for name, (truth, draw) in kinds.items():
        for n in (3, 10, 30, 100):
            yield simulated(name, n, truth, draw, lambda scores: stats.interval(scores.tolist()), draws)
    graded: dict[str, tuple[float, Callable[[np.random.Generator, int], np.ndarray]]] = {
        "graded pairs": (0.1, lambda rng, n: rng.choice([-0.5, 0.0, 0.5, 1.0], size=n, p=[0.2, 0.5, 0.2, 0.1])),
        "graded pairs, one-sided": (0.0, lambda rng, n: rng.choice([0.1, -0.9], size=n, p=[0.9, 0.1])),
    }
    for name, (truth, draw) in graded.items():
        for n in (10, 30):
            yield simulated(name, n, truth, draw, paired, min(draws, 1000))


def simulated(
    name: str,
    n: int,
    truth: float,
    draw: Callable[[np.random.Generator, int], np.ndarray],
    interval: Callable[[np.ndarray], Interval],
    draws: int,
) -> Row:
    """Both intervals over drawn scores."""
    rng = np.random.default_rng(n)
    data = [draw(rng, n) for _ in range(draws)]
    even = np.full(draws, 1 / draws)
    ours = counted([interval(scores) for scores in data], even, truth)
    theirs = counted([normal(scores) for scores in data], even, truth)
    return (name, n, *ours, *theirs)


if __name__ == "__main__":
    main()
