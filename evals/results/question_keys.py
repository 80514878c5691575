"""Keys of questions from their content, so that runs can be compared regardless of ids."""

from collections import Counter
from collections.abc import Sequence

from gpt_from_scratch.evals.protocol.samples import AnySample, MCQuestion, SampleResult
from gpt_from_scratch.evals.results.answer_cache import content_hash


def question_hash(sample: AnySample) -> str:
    """A hash of what is asked and what counts as right: 64 hexadecimal digits.

    Not of its id, of comments or of labels, but for the task of which it is: two tasks may ask one text. The order of
    choices counts where the sample fixes it.
    """
    if isinstance(sample, MCQuestion):
        answers: object = [sorted(sample.choices_right), sorted(sample.choices_wrong)]
        if sample.choices_order is not None:
            answers = [sample.choices_right, sample.choices_wrong, sample.choices_order]
    else:
        answers = sorted(sample.ideal_answers)
    body = sample.body if isinstance(sample.body, str) else [[m.role, m.content] for m in sample.body]
    return content_hash([sample.type, body, answers, sample.extra_template_vars, sample.splits.get("task")])


def question_keys(rows: Sequence[SampleResult]) -> list[str]:
    """Each row's question: its hash, with a number behind it for samples that ask what one before them asked.

    Rows of one sample, its epochs, have one key.
    """
    keys: dict[str, str] = {}
    asked: Counter[str] = Counter()
    for row in rows:
        if row.sample.id not in keys:
            question = question_hash(row.sample)
            asked[question] += 1
            keys[row.sample.id] = question if asked[question] == 1 else f"{question}#{asked[question]}"
    return [keys[row.sample.id] for row in rows]
