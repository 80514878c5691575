"""Records and report pages of HellaSwag and CORE, in the format of other eval runs.

Needs pydantic, which scoring itself does not.
"""

import re
from pathlib import Path
from typing import Any

from gpt_from_scratch.evals.protocol.samples import QA, AnySample, EvalResult, MCQuestion, SampleResult
from gpt_from_scratch.evals.results.answer_cache import content_hash
from gpt_from_scratch.evals.results.question_keys import question_keys
from gpt_from_scratch.evals.results.record import Journal
from gpt_from_scratch.evals.results.report import write_index, write_report
from gpt_from_scratch.evals.results.results import RECORD, count
from gpt_from_scratch.evals.scoring.core import Core, CoreAnswer, TaskResult
from gpt_from_scratch.evals.scoring.hellaswag import HellaSwagResult, ItemScores

HEADLINES = (("lm_eval", "char"), ("completion", "token"))
"""The style and norm under which HellaSwag is usually quoted, the first that was scored."""


def write_hellaswag(scored: HellaSwagResult, model: str, folder: Path) -> str:
    """Write record.jsonl and report.html into `folder`; returns the name of the accuracy that they are about.

    A row's `other_output` has what every style and norm is made of.
    """
    style, norm = next(pair for pair in HEADLINES if pair[0] in scored.scores)
    name = f"{style}/acc_norm_{norm}"
    rows = _name_by_content([_item(place, row, norm) for place, row in enumerate(scored.scores[style])])
    for of_style, scores in scored.scores.items():
        for row, one in zip(rows, scores, strict=True):
            row.other_output[of_style] = _measured(one)
    _write_record(rows, model, f"hellaswag {name}", folder)
    write_report(_result(rows, model, folder), folder / "report.html", title=f"HellaSwag, {name}, of {model}")
    return name


def write_core(scored: Core, name: str, model: str, folder: Path) -> None:
    """Write record.jsonl of all tasks, a page of each, and report.html, which leads to them, into `folder`.

    name: what the mean over the tasks is called, "CORE" only if it is over all of them

    A page a task, because the whole bundle has tens of thousands of questions: more than a browser shows at once.
    """
    everything, links = [], []
    for index, task in enumerate(scored.tasks):
        label = task.task.label
        rows = _name_by_content([_answer(task, place, answer) for place, answer in enumerate(task.answers)])
        everything += rows
        page = f"report/{index:02}-{re.sub(r'[^A-Za-z0-9]+', '-', label)}.html"  # a label may hold anything
        write_report(_result(rows, model, folder), folder / page, title=f"CORE, {label}, of {model}")
        links.append((page, label, f"{task.n}", f"{task.accuracy:.4f}", f"{task.centred:.4f}"))
    _write_record(everything, model, "core", folder)
    heads = ("task", "questions", "accuracy", "centred")
    write_index(folder / "report.html", f"{name}, of {model}: {scored.value:.4f}", heads, links)


def _write_record(rows: list[SampleResult], model: str, scorer: str, folder: Path) -> None:
    (folder / RECORD).unlink(missing_ok=True)
    identity = {
        "model": model,
        "scorer": scorer,
        "data": content_hash([[row.sample.id, row.prompt_hash] for row in rows]),
    }
    with Journal(folder / RECORD, identity) as journal:
        journal.append([(row.sample.id, row) for row in rows])


def _name_by_content(rows: list[SampleResult]) -> list[SampleResult]:
    """The rows, whose ids say for now where they stand, with ids that say what they ask."""
    for row, key in zip(rows, question_keys(rows), strict=True):
        question, _, repeat = key.partition("#")
        task = row.sample.splits.get("task", row.sample.created_by)
        row.sample.id = f"{task}:{question[:16]}{'#' * bool(repeat)}{repeat}"
    return rows


def _result(rows: list[SampleResult], model: str, folder: Path) -> EvalResult:
    return EvalResult(
        id=folder.name,
        completer=model,
        accuracy=sum(row.score or 0.0 for row in rows) / len(rows),
        counts=count(rows),
        sample_results=rows,
        requested=len(rows),
        cost=0.0,
    )


def _item(place: int, row: ItemScores, norm: str) -> SampleResult:
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
        other_output={},
        output_parsed=chosen,
        output_correct=right,
        sample=question,
        score=float(row.choice(norm) == item.label),
        prompt_hash=content_hash([item.ctx_a, item.ctx_b, item.endings]),
    )


def _measured(row: ItemScores) -> dict[str, Any]:
    """What every norm is made of: each ending's log-probability and its length."""
    return {"logprobs": row.logprobs, "tokens": row.tokens, "chars": row.chars, "bytes": row.bytes}


def _answer(task: TaskResult, place: int, answer: CoreAnswer) -> SampleResult:
    """One question of CORE; `output` has each choice's mean log-probability a token."""
    asked, label = answer.question, task.task.label
    right = asked.choices[asked.gold or 0]
    about: dict[str, Any] = {
        "id": f"{label}:{place}",
        "splits": {"task": label},
        "body": asked.text,
        "created_by": "CORE",
    }
    sample: AnySample = QA(**about, ideal_answers=[right])
    if asked.gold is not None:
        wrong = [choice for index, choice in enumerate(asked.choices) if index != asked.gold]
        sample = MCQuestion(**about, choices_right=[right], choices_wrong=wrong)
    return SampleResult(
        input=f"… {asked.text}" if task.task.kind == "schema" else asked.text,
        output=dict(zip(asked.choices, answer.means, strict=True)),
        output_parsed="something else" if answer.choice is None else asked.choices[answer.choice],
        output_correct=right,
        sample=sample,
        score=float(answer.correct),
        prompt_hash=content_hash([answer.examples, asked.text, asked.choices]),
    )
