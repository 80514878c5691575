"""Two runs compared: by what they asked, never by what it was called."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpt_from_scratch.evals.protocol.prompts import PromptStyle
from gpt_from_scratch.evals.protocol.samples import QA, AnySample, MCQuestion
from gpt_from_scratch.evals.providers.offline import OfflineProvider
from gpt_from_scratch.evals.results import question_keys as questions
from gpt_from_scratch.evals.results.compare import compare
from gpt_from_scratch.evals.runs.run_samples import run_samples

BODIES = ["one", "two", "three", "four", "five", "six"]


def run(path: Path, samples: list[Any], answer: str = "yes", **options: Any) -> Path:
    provider = OfflineProvider("echo", lambda prompt: answer)
    run_samples(samples, provider, model="echo", progress=False, resume_path=path, **options)
    return path


def qa(body: str, name: str, right: str = "yes") -> QA:
    return QA(id=name, body=body, ideal_answers=[right])


def test_questions_pair_by_their_content_whatever_their_place_and_name(tmp_path: Path) -> None:
    a = run(tmp_path / "a.jsonl", [qa(body, str(place)) for place, body in enumerate(BODIES)])
    turned = [qa(body, str(place)) for place, body in enumerate(reversed(BODIES[2:]))]
    b = run(tmp_path / "b.jsonl", [*turned, qa("seven", "x")], answer="no")
    lines = compare(a, b)
    assert lines[3] == "4 samples in both: B is better in 0, worse in 4"
    assert lines[4] == "3 samples were answered by only one of them and are left out (2 by A, 1 by B)"


def test_the_same_names_of_other_questions_pair_nothing(tmp_path: Path) -> None:
    a = run(tmp_path / "a.jsonl", [qa(body, str(place)) for place, body in enumerate(BODIES[:3])])
    b = run(tmp_path / "b.jsonl", [qa(body, str(place)) for place, body in enumerate(BODIES[3:])])
    with pytest.raises(ValueError, match="A answered 3 questions and B 3, and none is in both"):
        compare(a, b)
    other_answer = run(tmp_path / "c.jsonl", [qa(body, str(place), "no") for place, body in enumerate(BODIES[:3])])
    with pytest.raises(ValueError, match="none is in both"):
        compare(a, other_answer)


@pytest.mark.parametrize("scorer", ["", '"scorer": null, ', '"scorer": 5, '])
def test_a_record_without_its_scorer_is_named(tmp_path: Path, scorer: str) -> None:
    a = run(tmp_path / "a.jsonl", [qa("one", "a")])
    text = a.read_text(encoding="utf-8")
    damaged = re.sub(r'"scorer": "[^"]*"(?:, )?', scorer, text, count=1)
    assert damaged != text
    (tmp_path / "b.jsonl").write_text(damaged.replace(", }", "}"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"b\.jsonl, line 1: it does not say by which scorer"):
        compare(a, tmp_path / "b.jsonl")


def test_a_question_that_is_asked_twice_and_its_epochs(tmp_path: Path) -> None:
    samples = [qa("one", "a"), qa("one", "b"), qa("two", "c")]
    a = run(tmp_path / "a.jsonl", samples, epochs=2)
    lines = compare(a, run(tmp_path / "b.jsonl", samples[:2], answer="no"))
    assert lines[3] == "2 samples in both: B is better in 0, worse in 2"
    assert "(1 by A, 0 by B)" in lines[4]


def test_other_words_around_a_question_are_told(tmp_path: Path) -> None:
    samples: list[AnySample] = [qa(body, body) for body in BODIES]
    samples.append(MCQuestion(id="m", body="?", choices_right=["x"], choices_wrong=["y"]))
    a = run(tmp_path / "a.jsonl", samples)
    assert len(compare(a, run(tmp_path / "same.jsonl", samples, answer="no"))) == 4
    lines = compare(a, run(tmp_path / "b.jsonl", samples, style=PromptStyle(instruction="Yes or no?")))
    assert lines[4].startswith("in 7 of them the rest of the prompt was not the same: system prompt")


names = st.text(max_size=5)


@settings(deadline=None)
@given(st.lists(names, min_size=1, max_size=4, unique=True), st.lists(names, max_size=4, unique=True), names, names)
def test_the_hash_is_of_the_content_alone(right: list[str], wrong: list[str], body: str, name: str) -> None:
    sample = MCQuestion(id="i", body=body, choices_right=right, choices_wrong=wrong)
    called = sample.model_copy(update={"id": name, "comments": name, "splits": {"level": name}, "created_by": name})
    turned = sample.model_copy(update={"choices_right": right[::-1], "choices_wrong": wrong[::-1]})
    assert questions.question_hash(sample) == questions.question_hash(called) == questions.question_hash(turned)
    others = [
        {"body": body + "!"},
        {"choices_right": [*right, "another"]},
        {"choices_right": [*right, "w"], "choices_wrong": wrong},
        {"splits": {"task": "t"}},
        {"extra_template_vars": {"a": 1}},
    ]
    hashes = {questions.question_hash(sample.model_copy(update=other)) for other in others}
    assert questions.question_hash(sample) not in hashes and len(hashes) >= 4
