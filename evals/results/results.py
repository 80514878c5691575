"""A run's result: computed from its rows, as a table, and on disk."""

import collections
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpt_from_scratch.evals.protocol.limits import Account
from gpt_from_scratch.evals.protocol.samples import Counts, EvalResult, SampleResult
from gpt_from_scratch.evals.results.record import read_identity, read_rows
from gpt_from_scratch.support.storage import files
from gpt_from_scratch.support.storage.json_text import json_text

if TYPE_CHECKING:
    import pandas as pd

RECORD = "record.jsonl"
"""File name of a run's record."""

THEIR_COLUMNS = ["input", "other_output", "output", "output_parsed", "output_correct", "score", "sample.id"]
"""evalugator's columns in its order; what a sample has follows, and our own columns come last."""


def count(rows: Sequence[SampleResult]) -> Counts:
    """Count rows that are right (a score of 1), wrong, and unreadable."""
    scored = [row for row in rows if row.score is not None]
    wrong = [row for row in scored if row.score != 1]
    parsable = sum(row.output_parsed is not None for row in wrong)
    return Counts(
        total_correct=len(scored) - len(wrong),
        total_incorrect=len(wrong),
        incorrect_and_parsable=parsable,
        incorrect_and_unparsable=len(wrong) - parsable,
    )


def make_result(
    rows: list[SampleResult],
    *,
    model: str,
    requested: int,
    stopped: str | None,
    account: Account,
    retries: dict[str, int],
    save_path: Path | None,
) -> EvalResult:
    """Sum up. `cost` is None where the model's price is not known."""
    scores = [row.score for row in rows if row.score is not None]
    return EvalResult(
        id=_name(save_path) if save_path else model,
        completer=model,
        accuracy=sum(scores) / len(scores) if scores else None,
        counts=count(rows),
        sample_results=rows,
        save_path=str(save_path) if save_path else None,
        stopped=stopped,
        requested=requested,
        input_tokens=account.used.input_tokens,
        output_tokens=account.used.output_tokens,
        cost=account.cost if all(row.cost is not None for row in rows) else None,
        retries=retries,
    )


def _name(record: Path) -> str:
    return record.absolute().parent.name if record.name == RECORD else record.stem


def to_dataframe(result: EvalResult) -> "pd.DataFrame":
    """A row a sample, nested fields as dotted columns: evalugator's columns first, then ours."""
    import pandas as pd

    frame = pd.json_normalize(result.model_dump()["sample_results"])
    samples = [name for name in frame.columns if name.startswith("sample.") and name not in THEIR_COLUMNS]
    first = [name for name in [*THEIR_COLUMNS, *samples] if name in frame.columns]
    return frame[[*first, *(name for name in frame.columns if name not in first)]]


def summary(result: EvalResult) -> dict[str, Any]:
    """The figures of a run, with the 95 % interval of the score (`stats.interval`).

    Epochs of one sample are not independent: they count as one observation. A single sample has no standard error.
    `unread` counts the answers from which the scorer could read nothing; they are scored 0.
    """
    from gpt_from_scratch.evals.protocol import stats

    rows = [row for row in result.sample_results if row.score is not None]
    scores = [row.score for row in rows if row.score is not None]
    clusters = [row.sample.id for row in rows]
    figures: dict[str, Any] = result.model_dump(exclude={"sample_results", "confusion_table", "confusion_table_legend"})
    figures["answered"] = len(rows)
    figures["errors"] = len(result.errors)
    figures["unread"] = result.counts.incorrect_and_unparsable
    figures["error_kinds"] = error_kinds(result)
    if scores:
        several = len(set(clusters)) > 1
        figures["standard_error"] = stats.clustered_standard_error(scores, clusters) if several else None
        figures["interval_95"] = list(stats.interval(scores, clusters))
    return figures


def error_kinds(result: EvalResult) -> dict[str, int]:
    """Number of rows without a score by reason: an HTTP status, "connection", "timeout", "garbled", "content filter" ..."""
    return dict(sorted(collections.Counter(row.error_kind or "other" for row in result.errors).items()))


def write_summary(result: EvalResult, folder: Path) -> None:
    """`summary.json` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    files.write_text(folder / "summary.json", json_text(summary(result), indent=2) + "\n")


def load(path: Path) -> list[SampleResult]:
    """The rows of a run: of its folder, or of its record.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is not a run's record.
    """
    return list(read_rows(_record(path)))


def load_identity(path: Path) -> dict[str, Any]:
    """Load the common properties of a run's rows: model, parameters, scorer.

    Raises as `load` does, and without a scorer.
    """
    identity = read_identity(_record(path))
    if not isinstance(identity.get("scorer"), str):
        raise ValueError(f"{_record(path)}, line 1: it does not say by which scorer the run was scored: is it damaged?")
    return identity


def _record(path: Path) -> Path:
    file = path / RECORD if path.is_dir() else path
    if not file.exists():
        raise FileNotFoundError(f"{file} does not exist: give the folder that a run wrote, or its record (JSONL)")
    return file
