"""python -m gpt_from_scratch.evals compare A B: the paired difference of two runs over the same questions."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpt_from_scratch.evals.protocol import stats
from gpt_from_scratch.evals.protocol.samples import SampleResult
from gpt_from_scratch.evals.results import results
from gpt_from_scratch.evals.results.question_keys import question_keys
from gpt_from_scratch.support.command_line.arguments import ArgumentParser, a_path


def main(argv: list[str]) -> int:
    """Print the difference; 0."""
    parser = ArgumentParser(
        prog="gpt compare",
        description="Compare two runs question by question: how much better is B than A? Questions are equal if their "
        "texts and right answers are; those that only one run answered are left out.\n\n"
        "    gpt compare runs/evals/FIRST runs/evals/SECOND",
    )
    parser.add_argument("a", type=a_path, help="folder of the first run, or its record.jsonl")
    parser.add_argument("b", type=a_path, help="folder of the second run, or its record.jsonl")
    options = parser.parse_args(argv)
    for line in compare(options.a, options.b):
        print(line)
    return 0


def compare(a: Path, b: Path) -> list[str]:
    """The lines to print.

    Raises:
        FileNotFoundError: no record there.
        ValueError: what does not compare: other scorers, no question in both, or CORE's questions after other examples.
    """
    identities = [results.load_identity(path) for path in (a, b)]
    scorers = [identity["scorer"] for identity in identities]
    if scorers[0] != scorers[1]:
        raise ValueError(f"A was scored by {scorers[0]} and B by {scorers[1]}: their scores cannot be compared")
    answered = [Answered(results.load(path)) for path in (a, b)]
    scores = [run.means() for run in answered]
    if not scores[0].keys() & scores[1].keys():
        raise ValueError(
            f"A answered {len(scores[0])} questions and B {len(scores[1])}, and none is in both: a comparison needs the "
            "same texts and right answers (the same data, seed and task)"
        )
    warning = _about_prompts(answered, scorers[0], identities)
    difference = stats.paired_difference(*scores)
    low, high = difference.interval
    lines = [
        f"A  {difference.mean_a:.4f}  {a}",
        f"B  {difference.mean_b:.4f}  {b}",
        f"B - A  {difference.difference:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}, p = {difference.p_value:.2g}",
        f"{difference.n} samples in both: B is better in {difference.better}, worse in {difference.worse}",
    ]
    if difference.unpaired:
        alone = [len(run) - difference.n for run in scores]
        lines.append(
            f"{difference.unpaired} samples were answered by only one of them and are left out "
            f"({alone[0]} by A, {alone[1]} by B)"
        )
    return lines + warning


class Answered:
    """The rows of a run that have a score, by their question."""

    def __init__(self, rows: Sequence[SampleResult]) -> None:
        self.rows: dict[str, list[SampleResult]] = {}
        for key, row in zip(question_keys(rows), rows, strict=True):
            if row.score is not None:
                self.rows.setdefault(key, []).append(row)

    def means(self) -> dict[str, float]:
        """Each question's mean score over its epochs."""
        return {key: math.fsum(row.score or 0.0 for row in rows) / len(rows) for key, rows in self.rows.items()}

    def prompts(self, key: str) -> dict[int, str]:
        """The hash of the whole prompt in each epoch; nothing for a record that does not hold it."""
        return {row.epoch: row.prompt_hash for row in self.rows[key] if row.prompt_hash}


def _about_prompts(answered: Sequence[Answered], scorer: str, identities: Sequence[dict[str, Any]]) -> list[str]:
    """Notes about prompts that differ between the runs, such as other examples.

    Raises:
        ValueError: so it is for CORE, whose examples belong to the metric.
    """
    a, b = answered
    shared = [key for key in a.rows if key in b.rows]
    other = sum(
        any(prompts[epoch] != hash_b for epoch, hash_b in b.prompts(key).items() if epoch in prompts)
        for key in shared
        for prompts in [a.prompts(key)]
    )
    if scorer != "core":
        what = "system prompt, instruction, examples or the order of choices"
        return [f"in {other} of them the rest of the prompt was not the same: {what}"] if other else []
    if other:
        raise ValueError(
            f"{other} of the {len(shared)} questions in both stood after other examples, which CORE draws from the "
            f"questions that --limit leaves: their scores cannot be compared. Give both runs one --limit"
        )
    old = [name for name, identity in zip("AB", identities, strict=True) if "data" not in identity]
    if old:
        return [
            f"not known: whether the same examples stood before the questions; the record of {' and '.join(old)} is of an "
            f"older version, which did not say"
        ]
    return []
