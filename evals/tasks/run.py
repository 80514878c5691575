"""The eval `run`: your own questions from a file of JSON lines, without any Python."""

import json
from pathlib import Path
from typing import Any

from gpt_from_scratch.evals.answers.scorers import SCORERS
from gpt_from_scratch.evals.protocol.prompts import PromptStyle
from gpt_from_scratch.evals.protocol.samples import QA, AnySample, MCQuestion
from gpt_from_scratch.evals.results.answer_cache import content_hash
from gpt_from_scratch.evals.scoring.data import read_jsonl
from gpt_from_scratch.evals.task import Task

QUESTION = ("question", "prompt", "input", "problem", "body")
ANSWER = ("answer", "answers", "target", "ideal", "ideal_answers")
CHOICES = ("choices", "options")
FORMAT = (
    'a line is {"question": "1 + 1 =", "answer": "2"}, with a list where several answers are right; or '
    '{"question": "...", "choices": ["Paris", "London"], "answer": 1}, where the answer is a place, a letter or the text'
)


def run(
    file: Path, scorer: str = "auto", instruction: str = "", system: str = "", few_shot: int = 0, seed: int = 0
) -> Task:
    """Your own questions, from a file of JSON lines.

    Args:
        file: JSON lines: {"question": "1 + 1 =", "answer": "2"}, or with "choices": ["a", "b"]
        scorer: auto (a letter for choices, else the exact text), exact, includes, choice, numeric_close, seed
        instruction: appended to each question
        system: a system message before each question
        few_shot: number of questions, from the first on, that are shown with their answers and not asked
        seed: random seed of the order of choices

    Raises:
        FileNotFoundError, ValueError: there is no such file or scorer, or a line is of another form; says which and why.
    """
    if scorer not in SCORERS:
        raise ValueError(f"there is no scorer {scorer!r}; there are {', '.join(SCORERS)}")
    samples = [sample_of(row, where) for where, row in read_jsonl(file)]
    if few_shot < 0 or few_shot >= max(1, len(samples)):
        raise ValueError(
            f"--few-shot is {few_shot}, and {file} has {len(samples)} questions: leave at least one to ask"
        )
    repeated = _number_the_same(samples)
    shots, asked = repeated[:few_shot], repeated[few_shot:]
    # A run is known by its questions: another file of the same name gets a folder of its own.
    label = (
        f"{file.stem}-{content_hash([sample.id for sample in repeated] + [scorer, instruction, system, few_shot])[:8]}"
    )
    return Task(asked, scorer=scorer, style=PromptStyle(system, instruction, shots), label=label, seed=seed)


def sample_of(row: dict[str, Any], where: str) -> AnySample:
    """The sample of one line.

    Raises:
        ValueError: the line is of another form; the message says what is understood.
    """
    body = _field(row, QUESTION, where)
    if not isinstance(body, str) or not body:
        raise ValueError(f"{where}: the question must be a text, it is {json.dumps(body)[:80]}; {FORMAT}")
    answer = _field(row, ANSWER, where)
    choices = next((row[name] for name in CHOICES if row.get(name) is not None), None)
    identity = str(row["id"]) if isinstance(row.get("id"), str | int) else content_hash([body, answer, choices])[:16]
    if choices is None:
        answers = answer if isinstance(answer, list) else [answer]
        if not answers or not all(_is_plain(one) for one in answers):
            raise ValueError(f"{where}: the answer must be a text, a number or a list of them; {FORMAT}")
        return QA(id=identity, body=body, ideal_answers=[_text(one) for one in answers])
    if not isinstance(choices, list) or len(choices) < 2 or not all(_is_plain(one) for one in choices):
        raise ValueError(f"{where}: the choices must be a list of two or more texts; {FORMAT}")
    texts = [_text(one) for one in choices]
    if len(set(texts)) < len(texts):
        raise ValueError(f"{where}: two choices are equal: {texts}; {FORMAT}")
    right = _place(answer, texts, where)
    return MCQuestion(
        id=identity, body=body, choices_right=[texts[right]], choices_wrong=[t for t in texts if t != texts[right]]
    )


def _place(answer: Any, texts: list[str], where: str) -> int:
    """Index of the right choice, given by its text, its letter, or its index from 0."""
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if isinstance(answer, str):
        if answer in texts:
            return texts.index(answer)
        letter = ord(answer.strip().upper()) - ord("A") if len(answer.strip()) == 1 else -1
        if 0 <= letter < len(texts):
            return letter
    elif isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(texts):
        return answer
    raise ValueError(f"{where}: the answer {json.dumps(answer)[:80]} is none of the {len(texts)} choices; {FORMAT}")


def _field(row: dict[str, Any], names: tuple[str, ...], where: str) -> Any:
    given = [name for name in names if row.get(name) is not None]
    if len(given) != 1:
        have = f"it has {', '.join(given)}" if given else f"it has {', '.join(row) or 'nothing'}"
        raise ValueError(f"{where} needs one of {', '.join(names)}, and {have}; {FORMAT}")
    return row[given[0]]


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else repr(value)


def _number_the_same(samples: list[AnySample]) -> list[AnySample]:
    """Samples with ids of their own: one that comes again gets a number behind its id."""
    seen: dict[str, int] = {}
    numbered = []
    for sample in samples:
        count = seen[sample.id] = seen.get(sample.id, 0) + 1
        numbered.append(sample if count == 1 else sample.model_copy(update={"id": f"{sample.id}#{count}"}))
    return numbered
