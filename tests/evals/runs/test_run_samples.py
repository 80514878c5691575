"""The runner against the scripted server, through the vendors' real clients."""

import asyncio
import collections
import concurrent.futures
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.evals.answers.scorers import ModelGraded
from gpt_from_scratch.evals.protocol.limits import Limits
from gpt_from_scratch.evals.protocol.messages import Request
from gpt_from_scratch.evals.protocol.pricing import AS_OF, Price
from gpt_from_scratch.evals.protocol.prompts import PromptStyle
from gpt_from_scratch.evals.protocol.provider import MissingKeyError
from gpt_from_scratch.evals.protocol.retry import Backoff
from gpt_from_scratch.evals.protocol.samples import QA, EvalResult, MCQuestion
from gpt_from_scratch.evals.providers.anthropic_provider import AnthropicProvider
from gpt_from_scratch.evals.providers.echo_provider import EchoProvider
from gpt_from_scratch.evals.providers.offline import OracleProvider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
from gpt_from_scratch.evals.runs.run_samples import run_samples

QUICK = Backoff(base=0.001, cap=0.01)


def questions(count: int) -> list[QA]:
    return [QA(id=f"q{i}", body=f"say {i}", ideal_answers=[f"say {i}"]) for i in range(count)]


def run(samples: Any, provider: Any = None, model: str = "gpt-4o-mini", **more: Any) -> EvalResult:
    return run_samples(
        samples, provider or OpenAIProvider(), model=model, **{"backoff": QUICK, "progress": False, **more}
    )


def asked(server: Any) -> dict[str, int]:
    return dict(collections.Counter(entry["body"]["messages"][-1]["content"] for entry in server.log))


def test_each_row_says_how_its_answer_was_made(server: Any, openai_url: str) -> None:
    style = PromptStyle(system="Be brief.", few_shot=[QA(id="shot", body="say hi", ideal_answers=["hi"])])
    result = run(questions(3), style=style, temperature=0.25, max_tokens=7)
    assert result.accuracy == 1.0 and result.stopped is None and result.requested == 3
    bodies = {entry["body"]["messages"][-1]["content"]: entry["body"] for entry in server.log}
    assert bodies["say 1"] == {
        "model": "gpt-4o-mini",
        "temperature": 0.25,
        "max_tokens": 7,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "say hi"},
            {"role": "assistant", "content": "hi"},
            {"role": "user", "content": "say 1"},
        ],
    }
    row = result.sample_results[1]
    assert row.sample.id == "q1" and row.output == row.output_parsed == row.output_correct == "say 1"
    assert (row.served_model, row.finish_reason) == ("gpt-4o-mini-served", "stop")
    assert row.parameters == {"max_tokens": 7, "temperature": 0.25}
    assert len(row.prompt_hash) == 64 and len({r.prompt_hash for r in result.sample_results}) == 3
    assert (row.input_tokens, row.output_tokens) == (10, 5)


def test_costs_are_summed(server: Any, openai_url: str) -> None:
    result = run(questions(4), price=Price(input=1.0, output=2.0))
    assert (result.input_tokens, result.output_tokens) == (40, 20)
    assert result.cost == pytest.approx(4 * (10 * 1.0 + 5 * 2.0) / 1e6)
    assert sum(row.cost or 0 for row in result.sample_results) == pytest.approx(result.cost)
    assert run(questions(1), OpenAIProvider(base_url=openai_url), "no-price").cost is None


@pytest.mark.parametrize(
    ("status", "headers"),
    [(429, {"retry-after": "0.2"}), (429, {"retry-after-ms": "200"}), (500, {"retry-after": "0.2"})],
)
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_failures_that_pass_are_tried_again_after_the_wait_they_ask_for(
    server: Any, openai_url: str, anthropic_url: str, vendor: str, status: int, headers: dict[str, str]
) -> None:
    server.script({"status": status, "headers": headers})
    provider, model = (OpenAIProvider(), "gpt-4o") if vendor == "openai" else (AnthropicProvider(), "claude-haiku-4-5")
    started = time.monotonic()
    result = run(questions(1), provider, model)
    assert time.monotonic() - started >= 0.2
    assert result.retries == {str(status): 1} and result.sample_results[0].retries == 1 and result.accuracy == 1.0
    assert [entry["retry_count"] for entry in server.log] == ["0", "0"], "the SDK retried by itself"


def test_529_of_anthropic_and_503_are_tried_again(server: Any, anthropic_url: str) -> None:
    server.script({"status": 529}, {"status": 503}, {"raw": "garbled"})
    result = run(questions(1), AnthropicProvider(), "claude-haiku-4-5")
    assert result.accuracy == 1.0 and result.retries == {"529": 1, "503": 1, "garbled": 1}


def test_retries_are_bounded_and_the_error_is_a_row(server: Any, openai_url: str) -> None:
    server.script(*[{"status": 500}] * 3)
    result = run(questions(2), max_retries=2, max_concurrency=1)
    failed, right = result.sample_results
    assert failed.error is not None and failed.error.startswith("HTTP 500: ")
    assert failed.score is None and failed.output is None and failed.retries == 2
    assert right.score == 1.0 and result.accuracy == 1.0 and len(result.errors) == 1


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_wrong_request_is_not_tried_again(server: Any, openai_url: str, status: int) -> None:
    server.script({"status": status})
    result = run(questions(2), max_concurrency=1)
    assert len(server.log) == 2 and result.retries == {} and len(result.errors) == 1 and result.stopped is None


@pytest.mark.parametrize(
    "reply",
    [
        {"status": 401, "error": {"message": "Incorrect API key provided: sk-test-openai-secret"}},
        {"status": 429, "error": {"code": "insufficient_quota"}},
        {"status": 400, "error": {"code": "billing_hard_limit_reached"}},
        {"status": 400, "error": {"message": "Your credit balance is too low to access the API."}},
    ],
)
def test_a_refused_key_and_an_empty_account_end_the_run(
    server: Any, openai_url: str, reply: Any, tmp_path: Path
) -> None:
    server.script({"text": "say 0"}, reply)
    result = run(questions(50), max_concurrency=1, resume_path=tmp_path / "run.jsonl")
    assert len(server.log) == 2 and f"HTTP {reply['status']}" in str(result.stopped)
    assert len(result.sample_results) == 2 and result.requested == 50 and not result.sample_results[1].permanent
    assert "secret" not in (tmp_path / "run.jsonl").read_text() and "secret" not in str(result.stopped)


def test_a_missing_key_is_named(openai_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(MissingKeyError, match="OPENAI_API_KEY is not set.*'echo'"):
        run(questions(5))


def test_never_more_in_flight_than_allowed(server: Any, openai_url: str) -> None:
    server.script(gate_after=0)
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        result = thread.submit(run, questions(40), max_concurrency=5)
        deadline = time.monotonic() + 60
        while len(server.log) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)  # for a sixth, were there one
        assert len(server.log) == 5
        server.open_gate()
        assert result.result().accuracy == 1.0
    assert server.state()["most_in_flight"] == 5 and len(server.log) == 40


def test_none_is_lost_or_doubled(server: Any, openai_url: str) -> None:
    result = run(questions(1500), max_concurrency=64)
    assert asked(server) == {f"say {i}": 1 for i in range(1500)}
    assert [row.sample.id for row in result.sample_results] == [f"q{i}" for i in range(1500)]
    assert result.counts.total_correct == 1500


def test_a_record_is_gone_on_from(server: Any, openai_url: str, tmp_path: Path) -> None:
    record = tmp_path / "run.jsonl"
    server.script(*[{"status": 404}] * 2)
    first = run(questions(6), resume_path=record, max_concurrency=1, limit=4)
    assert [row.error is None for row in first.sample_results] == [False, False, True, True]
    server.script()
    second = run(questions(6), resume_path=record)
    assert asked(server) == {"say 0": 1, "say 1": 1, "say 4": 1, "say 5": 1}, "errors are retried, answers are not"
    assert second.accuracy == 1.0 and len(second.sample_results) == 6 and not second.errors
    server.script()
    third = run(questions(6), resume_path=record)
    assert server.log == [] and third.sample_results == second.sample_results
    with pytest.raises(ValueError, match="another run .temperature: 0.0 then, 0.5 now"):
        run(questions(6), resume_path=record, temperature=0.5)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_question_that_the_server_refuses_is_asked_again_only_on_demand(
    server: Any, openai_url: str, tmp_path: Path, status: int
) -> None:
    record = tmp_path / "run.jsonl"
    server.script({"status": status}, {"status": 404}, {"status": status, "headers": {"x-should-retry": "true"}})
    first = run(questions(4), resume_path=record, max_concurrency=1, max_retries=0)
    assert [row.permanent for row in first.sample_results] == [True, False, False, False] and len(first.errors) == 3
    server.script()
    second = run(questions(4), resume_path=record)
    assert asked(server) == {"say 1": 1, "say 2": 1} and [row.error_kind for row in second.errors] == [str(status)]
    server.script()
    assert not run(questions(4), resume_path=record, retry_all=True).errors and asked(server) == {"say 0": 1}


def test_a_changed_sample_is_asked_again(server: Any, openai_url: str, tmp_path: Path) -> None:
    record, samples = tmp_path / "run.jsonl", questions(2)
    run(samples, resume_path=record)
    samples[0].ideal_answers.append("another")
    run(samples, resume_path=record)
    assert asked(server) == {"say 0": 2, "say 1": 1}


def test_the_cache_spares_requests_across_runs(server: Any, openai_url: str, tmp_path: Path) -> None:
    run(questions(3), cache_dir=tmp_path)
    again = run(questions(4), cache_dir=tmp_path, scorer="includes")
    assert asked(server) == {f"say {i}": 1 for i in range(4)}
    assert [row.cached for row in again.sample_results] == [True, True, True, False]
    assert (again.input_tokens, again.accuracy) == (10, 1.0) and again.sample_results[0].cost == 0.0
    for change in ({"temperature": 0.5}, {"max_tokens": 9}, {"style": PromptStyle(system="x")}, {"epochs": 2}):
        server.script()
        run(questions(1), cache_dir=tmp_path, **change)
        assert len(server.log) == 1, change
    server.script()
    run(questions(1), OpenAIProvider(base_url=f"{server.url}/v1/"), cache_dir=tmp_path)
    assert len(server.log) == 1, "another server is another model"


def test_epochs_are_answers_of_their_own(server: Any, openai_url: str) -> None:
    result = run(questions(2), epochs=3)
    assert asked(server) == {"say 0": 3, "say 1": 3}
    assert [(row.sample.id, row.epoch) for row in result.sample_results] == [
        (f"q{i}", epoch) for i in range(2) for epoch in range(3)
    ]


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_limit_on_cost_is_never_passed(server: Any, openai_url: str, tmp_path: Path, concurrency: int) -> None:
    price, record = Price(input=1e6 / 10, output=1e6 / 5), tmp_path / "run.jsonl"  # an answer costs 1 + 1 dollars
    most = {"max_tokens": 5, "price": price, "resume_path": record, "max_concurrency": concurrency}
    result = run(questions(20), limits=Limits(cost=9.0), **most)
    assert 0 < result.cost <= 9.0 and "limit of $9" in result.stopped
    assert len(result.sample_results) == len(server.log) == 3
    assert run(questions(20), limits=Limits(cost=9.0), **most).cost == result.cost, "what was spent before counts"
    whole = run(questions(20), limits=Limits(cost=100.0), **most)
    assert whole.stopped is None and whole.cost == pytest.approx(40.0) and set(asked(server).values()) == {1}


def test_limits_on_tokens_and_time(server: Any, openai_url: str) -> None:
    tokens = run(questions(50), limits=Limits(tokens=100), max_tokens=5)
    assert tokens.input_tokens + tokens.output_tokens <= 100 and "limit of 100 tokens" in tokens.stopped
    server.script(delay=0.05)
    seconds = run(questions(100), limits=Limits(seconds=0.2), max_concurrency=2)
    assert "0.2 seconds" in seconds.stopped and len(seconds.sample_results) == len(server.log) < 20
    server.script({"status": 429, "headers": {"retry-after": "30"}})
    started = time.monotonic()
    run(questions(1), limits=Limits(seconds=5.0))
    assert time.monotonic() - started < 5, "a wait that ends after the limit is not begun"
    with pytest.raises(ValueError, match="needs the model's price"):
        run(questions(1), OpenAIProvider(base_url=openai_url), "unknown", limits=Limits(cost=1.0))


def test_a_defect_ends_the_run_and_keeps_what_was_paid_for(tmp_path: Path) -> None:
    failed = threading.Event()

    class Broken(EchoProvider):
        def execute(self, model_id: str, request: Request) -> Any:
            if request.prompt[-1].content == "say 3":
                failed.set()
                raise ZeroDivisionError("a defect")
            failed.wait(60)
            time.sleep(0.1)
            return super().execute(model_id, request)

    with pytest.raises(ZeroDivisionError, match="a defect"):
        run(questions(20), Broken(), "echo", resume_path=tmp_path / "run.jsonl", max_concurrency=4)
    recorded = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()[1:]]
    assert {entry["row"]["sample"]["id"] for entry in recorded} == {"q0", "q1", "q2"}


def test_a_raising_scorer_loses_no_answer(server: Any, openai_url: str, tmp_path: Path) -> None:
    broken = True

    def own(output: str, asked: Any) -> bool:
        if broken:
            raise KeyError("no such field")
        return output == asked.ideal_answers[0]

    with pytest.raises(KeyError):
        run(questions(3), scorer=own, resume_path=tmp_path / "run.jsonl")
    broken = False
    result = run(questions(3), scorer=own, resume_path=tmp_path / "run.jsonl")
    assert result.accuracy == 1.0 and set(asked(server).values()) == {1} and result.input_tokens == 30


def test_a_fork_of_evalugators_error_field_is_an_error() -> None:
    class Fork(EchoProvider):
        def execute(self, model_id: str, request: Request) -> Any:
            response = super().execute(model_id, request)
            response.error = "refused"  # type: ignore[attr-defined]
            return response

    assert run(questions(1), Fork(), "echo").sample_results[0].error == "refused"


def test_choices_are_shuffled_by_the_seed_alone() -> None:
    samples = [MCQuestion(id=f"m{i}", body="Which?", choices_right=["r"], choices_wrong=["w", "x"]) for i in range(12)]
    oracle = OracleProvider(samples)
    first, again, other = (run(samples, oracle, "oracle", seed=seed) for seed in (0, 0, 1))
    prompts = [[row.input[-1].content for row in result.sample_results] for result in (first, again, other)]
    assert prompts[0] == prompts[1] != prompts[2]
    assert first.accuracy == other.accuracy == 1.0
    assert len({row.output for row in first.sample_results}) == 3


def test_an_answer_cut_off_before_its_first_word_is_an_error(server: Any, openai_url: str) -> None:
    server.script({"text": "", "choice": {"finish_reason": "length"}}, {"text": ""})
    cut, empty = run(questions(2), model="o3", max_tokens=16, max_concurrency=1).sample_results
    assert "used up max_tokens=16 before it wrote any text" in str(cut.error) and cut.output_tokens == 5
    assert empty.error is None and empty.score == 0.0


def test_wrong_options_are_refused_before_anything_is_asked() -> None:
    for options, message in [
        ({"limit": 0}, "limit must be at least 1"),
        ({"temperature": float("nan")}, "temperature must be a number of at least 0"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"max_concurrency": 0}, "max_concurrency must be at least 1"),
        ({"max_retries": -1}, "max_retries"),
        ({"scorer": ModelGraded(EchoProvider(), "who knows"), "limits": Limits(cost=1.0)}, "price of the grader"),
    ]:
        with pytest.raises(ValueError, match=message):
            run(questions(1), EchoProvider(), "echo", **options)
    with pytest.raises(ValueError, match="limit on cost must be above 0, not -1"):
        Limits(cost=-1)


def test_two_samples_of_one_id() -> None:
    with pytest.raises(ValueError, match="two samples have the id 'q0'"):
        run(questions(1) * 2, EchoProvider(), "echo")


def test_it_works_inside_a_running_loop() -> None:
    async def notebook() -> EvalResult:
        return run(questions(3), EchoProvider(), "echo")

    assert asyncio.run(notebook()).accuracy == 1.0


def test_the_cost_is_told_before_the_first_request(server: Any, openai_url: str, capsys: Any) -> None:
    run(questions(100), progress=True, max_tokens=100)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == (
        "gpt-4o-mini: 100 requests, about 690 tokens to read and at most 10000 to write; "
        f"expected cost $0.0001 to $0.0061, by the prices of {AS_OF}"
    )
    assert said[-1].startswith("gpt-4o-mini: 100/100 · score 1.000 · $")
    run(questions(3), EchoProvider(), "echo", progress=True)
    assert capsys.readouterr().err.splitlines()[0].startswith("echo: "), "what is free is not announced"
