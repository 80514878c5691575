"""Scorers judge answers as a person would."""

from typing import Any

import pytest

from gpt_from_scratch.evals.answers.choices_in_text import read_choice
from gpt_from_scratch.evals.answers.scorers import ModelGraded, Score, get_scorer, numeric_close
from gpt_from_scratch.evals.protocol.messages import Message, Usage
from gpt_from_scratch.evals.protocol.pricing import Price
from gpt_from_scratch.evals.protocol.prompts import Asked
from gpt_from_scratch.evals.protocol.provider import ProviderError
from gpt_from_scratch.evals.protocol.retry import Backoff
from gpt_from_scratch.evals.protocol.samples import QA, MCQuestion
from gpt_from_scratch.evals.providers.offline import OfflineProvider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
from gpt_from_scratch.evals.results.report import render
from gpt_from_scratch.evals.results.results import summary
from gpt_from_scratch.evals.runs.run_samples import run_samples


def qa(*ideal: str) -> Asked:
    sample = QA(id="q", body="?", ideal_answers=list(ideal))
    return Asked(sample, [Message("user", "?")], list(ideal), {})


CHOICES = {"A": "red", "B": "green", "C": "blue", "I": "infrared"}
MCQ = Asked(MCQuestion(id="m", body="?", choices_right=["green"], choices_wrong=["red"]), [], ["(B)"], CHOICES)


@pytest.mark.parametrize(
    ("scorer", "output", "ideal", "value"),
    [
        *(("exact", " 4\n", "4", 1), ("exact", "4.0", "4", 0), ("exact", "It is 4", "4", 0)),
        *(("includes", "It is 4.", "4", 1), ("includes", "It is 42", "4", 0), ("includes", "-4", "4", 0)),
        *(("includes", "It is 4.5", "4", 0), ("includes", "PARIS!", "Paris", 1), ("includes", "Parisian", "Paris", 0)),
        *(("numeric_close", "x = 4.001", "4", 1), ("numeric_close", "4.1", "4", 0), ("numeric_close", "none", "4", 0)),
        *(("numeric_close", "0", "0.004", 0), ("numeric_close", "0", "0", 1), ("numeric_close", "-4", "4", 0)),
        *(("seed", "0", "0.004", 1), ("seed", "4.001", "4", 1), ("seed", "It is 4", "4", 0), ("seed", "inf", "4", 0)),
        *(("auto", "4", "4", 1), ("seed", "nan", "4", 0)),
    ],
)
def test_scores(scorer: str, output: str, ideal: str, value: float) -> None:
    assert (
        get_scorer(scorer)(output, qa("something else" if scorer in ("exact", "includes") else ideal, ideal)).value
        == value
    )


def test_what_was_parsed_is_told() -> None:
    assert get_scorer("numeric_close")("about 4", qa("4")).parsed == "4.0"
    assert get_scorer("numeric_close")("no idea", qa("4")).parsed is None
    assert numeric_close(rel_tol=0.5)("3", qa("4")).value == 1.0
    assert numeric_close(rel_tol=0.5).name == "numeric_close(rel_tol=0.5, abs_tol=0)"
    with pytest.raises(ValueError, match="'blue' is no number"):
        get_scorer("numeric_close")("4", qa("blue"))


@pytest.mark.parametrize(
    ("output", "letter"),
    [
        *(("(B)", "B"), ("B", "B"), ("B)", "B"), ("B.", "B"), ("**B**", "B"), (" B\nsince", "B"), ("B: green", "B")),
        *(("The answer is (B).", "B"), ("the answer is B", "B"), ("Answer: C", "C"), ("I would say (B)", "B")),
        *(("green", "B"), (" Green ", "B"), ("I think green", None), ("A red one", None), ("As an AI", None)),
        *(("(A) or (B)", None), ("either (A) or (B)", None), ("Because", None), ("(Z)", None), ("", None)),
        *(("Option A is wrong, the answer is B", "B"), ("BLUE", "C"), ("I", "I"), ("I'm sure it is (C)", "C")),
    ],
)
def test_choices(output: str, letter: str | None) -> None:
    assert read_choice(output, CHOICES) == letter
    score = get_scorer("choice")(output, MCQ)
    assert (score.value, score.parsed) == (float(letter == "B"), letter and f"({letter})")


def test_choice_wants_choices() -> None:
    with pytest.raises(ValueError, match="'choice' is for MCQuestion"):
        get_scorer("choice")("A", qa("A"))


def test_scorers_of_ones_own() -> None:
    assert get_scorer(lambda output, asked: output == "x")("x", qa("y")) == Score(1.0, "x")
    assert get_scorer(lambda output, asked: Score(0.5, "half"))("x", qa("y")).value == 0.5
    with pytest.raises(ValueError, match="no scorer 'exakt'. Did you mean 'exact'"):
        get_scorer("exakt")


def grader(*verdicts: str) -> Any:
    replies = iter(verdicts)
    return OfflineProvider("grader", lambda prompt: next(replies))


def test_a_model_grades() -> None:
    seen = []

    def judge(prompt: Any) -> str:
        seen.append(prompt[0].content)
        return "Yes, it is."

    graded = ModelGraded(OfflineProvider("grader", judge), "grader", price=Price(1.0, 1.0))
    score = graded("{braces} stay", qa("4", "four"))
    assert score.value == 1.0 and score.detail == "grader: Yes, it is." and score.cost and score.usage.output_tokens > 0
    assert "{braces} stay" in seen[0] and "4\nfour" in seen[0]
    assert ModelGraded(grader("No."), "grader")("x", qa("4")).value == 0.0
    with pytest.raises(ProviderError, match="no verdict: 'Nobody knows'") as caught:
        ModelGraded(grader("Nobody knows"), "grader")("x", qa("4"))
    assert caught.value.retryable and caught.value.usage != Usage()


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        *(
            ("Yes", 1),
            ("no.", 0),
            ("**Yes**", 1),
            ("(No)", 0),
            ("Yes, there is no difference.", 1),
            ("No or little doubt", 0),
        ),
        *(("<think>No? Hmm.</think>\nYes", 1), ("Yes or No", None), ("yes and no", None), ("Yes/No", None)),
        *(("<think>Yes", None), ("Not sure", None), ("Yesterday", None), ("", None)),
    ],
)
def test_a_graders_verdict_is_read_or_asked_again(reply: str, value: float | None) -> None:
    graded = ModelGraded(grader(reply), "grader")
    if value is None:
        with pytest.raises(ProviderError, match="no verdict"):
            graded("x", qa("4"))
    else:
        assert graded("x", qa("4")).value == value


@pytest.mark.parametrize("value", [1.5, -0.1, float("nan"), 5])
def test_a_score_outside_0_and_1_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="a score is from 0 to 1, this scorer returned"):
        get_scorer(lambda output, asked: value)("x", qa("y"))


def test_answers_that_cannot_be_read_are_counted_and_shown() -> None:
    samples = [QA(id=f"q{i}", body=f"{i}", ideal_answers=["3"]) for i in range(5)]
    provider = OfflineProvider("echo", lambda prompt: {"1": "3 or 4", "2": "3"}.get(prompt[-1].content, "7"))
    result = run_samples(samples, provider, model="echo", scorer="numeric_close", progress=False)
    figures = summary(result)
    assert (figures["unread"], figures["accuracy"], figures["answered"]) == (1, 0.2, 5)
    page = render(result, title="t")
    assert "unread answers" in page and "1, counted as wrong" in page and page.count("not read") == 1


def test_grading_inside_a_run_is_retried_and_never_asks_the_answer_again(server: Any, tmp_path: Any) -> None:
    samples = [QA(id=f"q{i}", body=f"say {i}", ideal_answers=["?"]) for i in range(3)]
    provider = OpenAIProvider(base_url=f"{server.url}/v1")
    options: dict[str, Any] = {
        "model": "m",
        "price": Price(1.0, 1.0),
        "progress": False,
        "max_concurrency": 1,
        "max_retries": 1,
        "backoff": Backoff(base=0.001),
        "resume_path": tmp_path / "run.jsonl",
    }
    failing = ModelGraded(grader("Yes", "hm", "No", "hm", "hm"), "grader", price=Price(1.0, 1.0))
    first = run_samples(samples, provider, scorer=failing, **options)
    assert [row.score for row in first.sample_results] == [1.0, 0.0, None]
    assert str(first.sample_results[2].error).startswith("not graded: ") and first.sample_results[2].output == "say 2"
    assert len(server.log) == 3
    again = ModelGraded(grader("Yes"), "grader", price=Price(1.0, 1.0))
    second = run_samples(samples, provider, scorer=again, **options)
    assert [row.score for row in second.sample_results] == [1.0, 0.0, 1.0] and len(server.log) == 3
    assert second.cost > first.cost
