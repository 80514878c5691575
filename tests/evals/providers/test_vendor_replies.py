"""Replies that a vendor's server really sends: text in parts, filtered or uncounted, and calls without ids."""

import base64
import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.evals.function_calling.anthropic.function_calling_provider import AnthropicFunctionCallingProvider
from gpt_from_scratch.evals.function_calling.openai.function_calling_provider import OpenAIFunctionCallingProvider
from gpt_from_scratch.evals.protocol.limits import Limits
from gpt_from_scratch.evals.protocol.messages import GetTextRequest, Message
from gpt_from_scratch.evals.protocol.samples import QA
from gpt_from_scratch.evals.providers.anthropic_provider import AnthropicProvider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
from gpt_from_scratch.evals.results.report import write_report
from gpt_from_scratch.evals.results.results import summary
from tests.evals.providers.vendor_replies import (
    BOMB,
    CALLING,
    PLAIN,
    VALID,
    WITH_CALL,
    http,
    questions,
    replaced,
    run,
)


@pytest.mark.parametrize("vendor", VALID)
def test_a_question_that_utf_8_has_no_form_for_is_its_own_rows_error(
    server: Any, openai_url: str, anthropic_url: str, vendor: str, tmp_path: Path
) -> None:
    samples = [QA(id="odd", body="half \ud83d", ideal_answers=["x"]), *questions(2)]
    for _ in range(2):  # asking again cannot help, and is not done
        result = run(vendor, samples, resume_path=tmp_path / "run.jsonl")
        odd, *others = result.sample_results
        assert "\\ud83d" in str(odd.error) and odd.error_kind == "unsendable" and odd.permanent
        assert [row.score for row in others] == [1.0, 1.0] and len(server.log) == 2
    write_report(result, tmp_path / "report.html", title="odd")


def test_no_empty_text_is_sent_to_anthropic(server: Any, anthropic_url: str) -> None:
    empty, blank = QA(id="e", body="", ideal_answers=["x"]), QA(id="b", body=" \n", ideal_answers=["x"])
    shot = QA(id="shot", body="say it", ideal_answers=[""])
    result = run("anthropic", [empty, blank, *questions(1)])
    assert [row.error_kind for row in result.sample_results] == ["unsendable", "unsendable", None]
    make, model = PLAIN["anthropic"]
    prompt = [Message("system", " "), Message("user", "say it"), Message("assistant", ""), Message("user", "now")]
    make().execute(model, GetTextRequest(prompt=prompt, context=None, temperature=0.0, max_tokens=9))
    body = server.log[-1]["body"]
    assert "system" not in body and [message["content"] for message in body["messages"]] == ["say it", "now"]
    assert shot.ideal_answers == [""]


def test_an_empty_result_and_an_empty_turn_are_not_sent_back(server: Any, anthropic_url: str) -> None:
    def nothing() -> str:
        """Say nothing."""
        return ""

    use = {"type": "tool_use", "id": "1", "name": "nothing", "input": {}}
    server.script({"message": [{"type": "text", "text": ""}, {"type": "text", "text": " "}, use]}, {"text": "done"})
    provider = AnthropicFunctionCallingProvider([nothing])
    request = GetTextRequest(prompt=[Message("user", "hi")], context=None, temperature=0.0, max_tokens=9)
    assert provider.execute("function-calling-claude-haiku-4-5", request).txt == "done"
    _, turn, answer = server.log[1]["body"]["messages"]
    assert turn["content"] == [use]
    assert answer["content"] == [{"type": "tool_result", "tool_use_id": "1", "is_error": False}]


def test_without_functions_no_empty_list_of_them_is_sent(server: Any, openai_url: str, anthropic_url: str) -> None:
    request = GetTextRequest(prompt=[Message("user", "hi")], context=None, temperature=0.0, max_tokens=9)
    OpenAIFunctionCallingProvider([]).execute("function-calling-gpt-4o", request)
    AnthropicFunctionCallingProvider([]).execute("function-calling-claude-haiku-4-5", request)
    assert not any({"tools", "parallel_tool_calls"} & entry["body"].keys() for entry in server.log)


CONTENTS: list[tuple[Any, str]] = [
    ("x", "x"),
    (None, ""),
    ([], ""),
    ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "x"}], "x"),
    ([{"type": "text", "text": "a"}, {"type": "reasoning", "text": "hm"}, {"type": "text", "text": "b"}], "ab"),
    ([{"type": "output_text", "text": "x"}, {"type": "image_url", "image_url": {}}], "x"),
    ([{"type": "text", "text": {"value": "x", "annotations": []}}], "x"),
    (["a", "b"], "ab"),
    ([{"type": "refusal", "refusal": "I cannot"}], "I cannot"),
    ([{"type": "text", "text": None}], ""),
]


@pytest.mark.parametrize(("content", "text"), CONTENTS)
def test_content_in_parts_is_its_text(server: Any, openai_url: str, content: Any, text: str) -> None:
    server.script(http(json.dumps(replaced(VALID["openai"], ("choices", 0, "message", "content"), content)).encode()))
    assert run("openai", questions(1)).sample_results[0].output == text


def test_anthropics_content_as_a_text(server: Any, anthropic_url: str) -> None:
    server.script(http(json.dumps(replaced(VALID["anthropic"], ("content",), "plain")).encode()))
    assert run("anthropic", questions(1)).sample_results[0].output == "plain"


@pytest.mark.parametrize("text", ["", "half of an ans"])
@pytest.mark.parametrize(
    ("vendor", "path", "reason"),
    [("openai", ("choices", 0, "finish_reason"), "content_filter"), ("anthropic", ("stop_reason",), "refusal")],
)
def test_what_a_filter_cut_is_set_apart(
    server: Any, openai_url: str, anthropic_url: str, vendor: str, path: Any, reason: str, text: str, tmp_path: Path
) -> None:
    body = replaced(VALID[vendor], path, reason)
    content: Any = ("choices", 0, "message", "content") if vendor == "openai" else ("content", 0, "text")
    server.script(http(json.dumps(replaced(body, content, text)).encode()))
    result = run(vendor, questions(2), max_concurrency=1, resume_path=tmp_path / "run.jsonl")
    cut, right = result.sample_results
    assert cut.score is None and cut.error_kind == "content filter" and cut.permanent and text in str(cut.error)
    assert right.score == result.accuracy == 1.0
    assert summary(result)["error_kinds"] == {"content filter": 1} and result.counts.total_incorrect == 0
    run(vendor, questions(2), resume_path=tmp_path / "run.jsonl")
    assert len(server.log) == 2, "asking again would be cut again"


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        *[(usage, (0, 0)) for usage in ({}, None, [], 5, {"prompt_tokens": None}, {"prompt_tokens": True})],
        *[
            ({"prompt_tokens": odd, "completion_tokens": 5}, (0, 5))
            for odd in (-7, float("nan"), "12", 0.5, 1e300, 10**40)
        ],
        ({"prompt_tokens": 10.0, "completion_tokens": 5}, (10, 5)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40}, (10, 30)),
    ],
)
def test_counts_that_are_none_never_lower_the_cost(server: Any, openai_url: str, usage: Any, tokens: Any) -> None:
    server.script({"text": "say 0", "usage": usage})
    row = run("openai", questions(1)).sample_results[0]
    assert (row.input_tokens, row.output_tokens) == tokens
    assert row.cost is not None and row.cost > 0, "charged as the most it can have been, where the server does not say"


@pytest.mark.parametrize("vendor", VALID)
def test_a_body_in_several_gzip_members_is_read_whole(
    server: Any, openai_url: str, anthropic_url: str, vendor: str
) -> None:
    whole = json.dumps(VALID[vendor]).encode()
    for places in ([30], [1, 2, 100], [len(whole)]):
        cuts = [0, *places, len(whole)]
        parts = [whole[start:end] for start, end in itertools.pairwise(cuts)]
        server.script(http(b"".join(map(gzip.compress, parts)), content_encoding="gzip"))
        assert run(vendor, questions(1), max_retries=0).sample_results[0].output == "x"
    server.script(http(gzip.compress(whole) + BOMB, content_encoding="gzip"))
    (row,) = run(vendor, questions(1), max_retries=0).sample_results
    assert "when unpacked" in str(row.error) and row.error_kind == "garbled"


@pytest.mark.parametrize(
    "ids", [["a", "a"], ["a", "a", "a", "b"], ["call_0", "call_0", "call_1"], ["a"] * 20, ["x", None, "call_0", ""]]
)
@pytest.mark.parametrize("vendor", VALID)
def test_each_of_several_calls_has_an_id_of_its_own(
    server: Any, openai_url: str, anthropic_url: str, vendor: str, ids: list[str | None]
) -> None:
    message: Any
    if vendor == "openai":
        calls = [
            {"id": identity, "type": "function", "function": {"name": "double", "arguments": f'{{"number": {i}}}'}}
            for i, identity in enumerate(ids)
        ]
        message = {"role": "assistant", "content": None, "tool_calls": calls}
    else:
        message = [
            {"type": "tool_use", "id": identity or f"own_{i}", "name": "double", "input": {"number": i}}
            for i, identity in enumerate(ids)
        ]
    server.script({"message": message}, {"text": "done"})
    (row,) = run(vendor, questions(1), CALLING, max_retries=0).sample_results
    assert row.output == "done"
    _, turn, *answers = server.log[1]["body"]["messages"]
    if vendor == "openai":
        called = [call["id"] for call in turn["tool_calls"]]
        answered = {answer["tool_call_id"]: answer["content"] for answer in answers}
    else:
        called = [block["id"] for block in turn["content"]]
        answered = {block["tool_use_id"]: block["content"] for block in answers[0]["content"]}
    assert len(set(called)) == len(ids) and all(called)
    assert [answered[identity] for identity in called] == [str(2 * i) for i in range(len(ids))]
    kept = {identity: ids.index(identity) for identity in ids if identity}
    assert all(called[place] == identity for identity, place in kept.items()), "the first of a name keeps it"


@pytest.mark.parametrize("vendor", VALID)
def test_a_turn_that_was_not_counted_may_have_cost_something_though_the_next_one_fails(
    server: Any, openai_url: str, anthropic_url: str, vendor: str
) -> None:
    uncounted = {name: value for name, value in WITH_CALL[vendor].items() if name != "usage"}
    costs = []
    for first in (uncounted, WITH_CALL[vendor]):
        server.script(http(json.dumps(first).encode()), http(b'{"error": {"message": "no"}}', 400))
        (row,) = run(vendor, questions(1), CALLING, max_retries=0).sample_results
        assert row.error_kind == "400"
        costs.append(row.cost)
    assert costs[0] > costs[1] > 0


@pytest.mark.parametrize("timeout", [float("inf"), float("nan"), 0, -1, 1e7, 1e300])
def test_a_time_that_no_request_can_be_given_is_refused(timeout: float) -> None:
    for kind in (OpenAIProvider, AnthropicProvider):
        with pytest.raises(ValueError, match="timeout must be a number of seconds above 0"):
            kind(timeout=timeout)


def test_the_longest_time_is_one_that_sockets_know(server: Any, openai_url: str, anthropic_url: str) -> None:
    request = GetTextRequest(prompt=[Message("user", "hi")], context=None, temperature=0.0, max_tokens=9)
    for kind, (_, model) in zip((OpenAIProvider, AnthropicProvider), PLAIN.values(), strict=True):
        assert kind(timeout=1e6).execute(model, request).txt == "hi"


@pytest.mark.parametrize("vendor", VALID)
def test_a_server_that_counts_nothing_undercuts_no_cap(
    server: Any, openai_url: str, anthropic_url: str, vendor: str
) -> None:
    names = ("prompt_tokens", "completion_tokens") if vendor == "openai" else ("input_tokens", "output_tokens")
    for read, written in [(0, 0), (0, 5), (9, 0), (None, 5), (9, -1), (True, 5), ("9", "5"), (0.0, 0.0), (9.5, 5)]:
        reply = {**VALID[vendor], "usage": dict(zip(names, (read, written), strict=True))}
        server.script(*[http(json.dumps(reply).encode())] * 40)
        result = run(vendor, questions(40), limits=Limits(cost=0.0005), max_tokens=50, max_concurrency=4)
        assert "the limit of $0.0005" in str(result.stopped) and len(server.log) < 20, (read, written)
        assert result.cost is not None and 0 < result.cost <= 0.0005


@pytest.mark.parametrize("vendor", VALID)
def test_what_is_sent_too_much_is_no_answer_to_the_next_question(
    server: Any, openai_url: str, anthropic_url: str, vendor: str
) -> None:
    whole = json.dumps(VALID[vendor]).encode()
    once, other = http(whole), http(whole.replace(b'"x"', b'"another\'s"'))
    bytes_of = {id(reply): base64.b64decode(reply["wire"]) for reply in (once, other)}
    for too_much in (bytes_of[id(other)], b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n", whole, b"\r\n", b"\x00" * 9):
        wire = base64.b64encode(bytes_of[id(once)] + too_much).decode()
        server.script({"wire": wire, "open": True})
        first, *rest = run(vendor, questions(3), max_retries=0, max_concurrency=1).sample_results
        assert first.output == "x" and [row.output for row in rest] == ["say 1", "say 2"]
