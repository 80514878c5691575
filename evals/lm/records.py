"""HellaSwag as a run like any other: a record that `compare` reads, and a page with the wrong answers first.

Needs pydantic, which scoring itself does not.
"""

from pathlib import Path

from gpt_from_scratch.evals.journal import Journal
from gpt_from_scratch.evals.lm.hellaswag import HellaSwag, ItemScores
from gpt_from_scratch.evals.report import write_report
from gpt_from_scratch.evals.results import RECORD, count
from gpt_from_scratch.evals.samples import EvalResult, MCQuestion, SampleResult

HEADLINES = (("lm_eval", "char"), ("completion", "token"))
"""The style and norm under which HellaSwag is usually quoted, the first that was scored."""


def write_records(scored: HellaSwag, model: str, folder: Path) -> str:
    """Write record.jsonl and report.html into `folder`; returns the name of the accuracy that they are about."""
    style, norm = next(pair for pair in HEADLINES if pair[0] in scored.scores)
    name = f"{style}/acc_norm_{norm}"
    rows = [_row(place, row, norm) for place, row in enumerate(scored.scores[style])]
    (folder / RECORD).unlink(missing_ok=True)
    with Journal(folder / RECORD, {"model": model, "scorer": f"hellaswag {name}"}) as journal:
        journal.append([(row.sample.id, row) for row in rows])
    result = EvalResult(
        id=folder.name,
        completer=model,
        accuracy=sum(row.score or 0.0 for row in rows) / len(rows),
        counts=count(rows),
        sample_results=rows,
        requested=len(rows),
        cost=0.0,
    )
    write_report(result, folder / "report.html", title=f"HellaSwag, {name}, of {model}")
    return name


def _row(place: int, row: ItemScores, norm: str) -> SampleResult:
    """One question and what the model made of it; `output` has each ending's log-probability by the norm."""
    item = row.item
    right, chosen = item.endings[item.label], item.endings[row.choice(norm)]
    wrong = [ending for index, ending in enumerate(item.endings) if index != item.label]
    question = MCQuestion(
        id=f"{place}:{item.name}",
        splits={"activity_label": item.activity_label},
        body=f"{item.activity_label}: {item.ctx}",
        choices_right=[right],
        choices_wrong=wrong,
        created_by="HellaSwag",
    )
    return SampleResult(
        input=question.body,
        output=dict(zip(item.endings, row.values(norm), strict=True)),
        output_parsed=chosen,
        output_correct=right,
        sample=question,
        score=float(row.choice(norm) == item.label),
    )
