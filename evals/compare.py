"""python -m gpt_from_scratch.evals compare A B: the paired difference of two runs over the same samples."""

from collections.abc import Sequence

from gpt_from_scratch.evals import results, stats
from gpt_from_scratch.evals.samples import SampleResult
from gpt_from_scratch.support.arguments import ArgumentParser, a_path


def main(argv: list[str]) -> int:
    """Print the difference; 0."""
    parser = ArgumentParser(
        prog="python -m gpt_from_scratch.evals compare",
        description="How much better B is than A, sample by sample. Samples that only one of them answered are left out.",
    )
    parser.add_argument("a", type=a_path, help="folder of a run, or its record.jsonl")
    parser.add_argument("b", type=a_path)
    options = parser.parse_args(argv)
    scorers = [results.load_identity(path)["scorer"] for path in (options.a, options.b)]
    if scorers[0] != scorers[1]:
        raise ValueError(f"A was scored by {scorers[0]} and B by {scorers[1]}: their scores do not compare")
    rows_a, rows_b = results.load(options.a), results.load(options.b)
    difference = stats.paired_difference(mean_scores(rows_a), mean_scores(rows_b))
    low, high = difference.interval
    print(f"A  {difference.mean_a:.4f}  {options.a}")
    print(f"B  {difference.mean_b:.4f}  {options.b}")
    print(f"B - A  {difference.difference:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}, p = {difference.p_value:.2g}")
    print(f"{difference.n} samples in both: B is better in {difference.better}, worse in {difference.worse}")
    if difference.unpaired:
        print(f"{difference.unpaired} samples were answered by one of them only, and are left out")
    return 0


def mean_scores(rows: Sequence[SampleResult]) -> dict[str, float]:
    """Each sample's mean score over its epochs; a sample without a score is left out."""
    scores: dict[str, list[float]] = {}
    for row in rows:
        if row.score is not None:
            scores.setdefault(row.sample.id, []).append(row.score)
    return {key: sum(values) / len(values) for key, values in scores.items()}
