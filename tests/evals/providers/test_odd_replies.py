"""Whatever a vendor's server sends becomes a row: 200 generated replies for each vendor, over a real connection."""

import base64
import copy
import gzip
import itertools
import json
import random
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.evals.function_calling.anthropic.function_calling_provider import AnthropicFunctionCallingProvider
from gpt_from_scratch.evals.function_calling.openai.function_calling_provider import OpenAIFunctionCallingProvider
from gpt_from_scratch.evals.protocol.limits import Limits
from gpt_from_scratch.evals.protocol.messages import GetTextRequest, Message
from gpt_from_scratch.evals.protocol.provider import ProviderError
from gpt_from_scratch.evals.protocol.retry import Backoff
from gpt_from_scratch.evals.protocol.samples import QA, EvalResult
from gpt_from_scratch.evals.providers.anthropic_provider import AnthropicProvider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
from gpt_from_scratch.evals.results.report import write_report
from gpt_from_scratch.evals.results.results import summary, to_dataframe, write_summary
from gpt_from_scratch.evals.runs.run_samples import run_samples

VALID: dict[str, dict[str, Any]] = {
    "openai": {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "x", "refusal": None}}
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    },
    "anthropic": {
        "id": "1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "x"}, {"type": "thinking", "thinking": "t", "signature": "s"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 0},
    },
}
WITH_CALL: dict[str, dict[str, Any]] = copy.deepcopy(VALID)
WITH_CALL["openai"]["choices"][0]["message"] |= {
    "content": None,
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "double", "arguments": '{"number": 4}'}}],
}
WITH_CALL["anthropic"]["content"] = [{"type": "tool_use", "id": "1", "name": "double", "input": {"number": 4}}]

ODD: list[Any] = [
    *(None, True, False, 0, -1, 2**70, 10**30, -(10**40), 0.5, 1e308, float("nan"), float("inf"), -float("inf")),
    *("", " ", "\x00", "text", "\ud83d", "\udc00x", "😀" * 50, "a" * 100_000, "12", "[]", "\u2028\r\n", "</script>"),
    *([], {}, [None], [[]], [{}], {"": ""}, {"type": "text"}, [{"type": "text", "text": None}], ["a", "b"]),
    *([{"type": "text", "text": "x"}, {"type": "image_url"}], {"text": "x"}, [{"type": "refusal", "refusal": "no"}]),
    *([1, "a", None], {"type": "tool_use"}, [{"type": 5}], {"error": {"message": "overloaded"}}),
]
DEEP = "[" * 900 + "]" * 900
BODIES = [
    *(b"", b"null", b"5", b'"x"', b"[]", b"{", b"\xff\xfe\x00", b"<html>busy</html>", b"NaN", b'{"a": "\xed\xa0\x80"}'),
    *(
        DEEP.encode(),
        ("[" * 100_000).encode(),
        b"1" * 5000,
        b'{"choices": ' + b"9" * 5000 + b"}",
        b"\x00" * 64,
        b"\r\n",
    ),
    *(b'data: {"choices": []}\n\n', b'{"error": {"message": "busy", "code": 5}}', '{"ä": 1}'.encode("utf-16")),
]
RETRY_AFTER = [
    "-5",
    "soon",
    "1e400",
    "nan",
    "inf",
    "Wed, 21 Oct 99999 07:28:00 GMT",
    "32 Foo 2015 25:61:61 +9999999",
    "9" * 400,
]
STATUSES = [200, 201, 204, 206, 226, 300, 301, 302, 307, 400, 401, 402, 404, 408, 409, 413, 418, 422, 429, 451, 499]
STATUSES += [500, 501, 502, 503, 504, 520, 529, 599, 600, 999]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a JSON value, the whole first."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    if not path:
        return odd
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    if odd is DELETED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = odd
    return value


DELETED = object()
BOMB = gzip.compress(bytes(64 * 2**20))


def http(body: bytes, status: int = 200, *, length: int | None = None, **headers: str) -> dict[str, Any]:
    """A whole HTTP response as a reply of the scripted server."""
    fields = {"content-type": "application/json", "content-length": str(len(body) if length is None else length)}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    return {"wire": base64.b64encode(head.encode("latin-1") + body).decode()}


def odd_reply(rng: random.Random, vendor: str) -> dict[str, Any]:
    valid = rng.choice([VALID, WITH_CALL])[vendor]
    whole = json.dumps(valid).encode()
    kind = rng.randrange(12)
    if kind < 6:
        mutated = valid
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            path = rng.choice(places(mutated))
            odd = rng.choice([*ODD, DELETED]) if path else rng.choice(ODD)
            mutated = replaced(mutated, path, odd)
        return http(json.dumps(mutated).encode())
    if kind == 6:
        return http(
            rng.choice(BODIES), rng.choice(STATUSES), content_type=rng.choice(["application/json", "text/html"])
        )
    if kind == 7:
        body = bytearray(whole)
        for _ in range(rng.randint(1, 6)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        return http(bytes(body))
    if kind == 8:
        return http(
            whole, rng.choice([429, 503, 500, 400]), retry_after=rng.choice(RETRY_AFTER), x_should_retry="maybe"
        )
    if kind == 9:
        cut = whole[: rng.randrange(len(whole))]
        return rng.choice([http(cut), http(cut, length=len(whole)), http(whole, length=rng.choice([0, 7, 10**15]))])
    if kind == 10:
        packed = gzip.compress(whole)
        broken = [
            http(packed, content_encoding="gzip"),
            http(packed[: len(packed) // 2], content_encoding="gzip"),
            http(whole, content_encoding="gzip"),
            http(zlib.compress(whole), content_encoding="deflate"),
            http(whole, content_encoding="zstd"),
            http(BOMB, content_encoding="gzip"),
            http(whole, content_type="text/html; charset=punycode"),
            http(whole, 500, content_type="application/json; charset=base64"),
            http(whole, 302, location="http://[::1"),
            http(whole, 307, location="file:///etc/passwd"),
        ]
        return rng.choice(broken)
    garbage = [b"", b"\x00" * 200, b"HTTP/9.9 200 OK\r\n\r\n", b"HTTP/1.1 two OK\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"]
    garbage += [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n{}",
    ]
    return {"wire": base64.b64encode(rng.choice(garbage)).decode()}


def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


PLAIN: dict[str, Any] = {
    "openai": (lambda: OpenAIProvider(timeout=20), "gpt-4o-mini"),
    "anthropic": (lambda: AnthropicProvider(timeout=20), "claude-haiku-4-5"),
}
CALLING: dict[str, Any] = {
    "openai": (lambda: OpenAIFunctionCallingProvider([double]), "function-calling-gpt-4o-mini"),
    "anthropic": (lambda: AnthropicFunctionCallingProvider([double]), "function-calling-claude-haiku-4-5"),
}


def questions(count: int) -> list[QA]:
    return [QA(id=f"q{i}", body=f"say {i}", ideal_answers=[f"say {i}"]) for i in range(count)]


def run(vendor: str, samples: list[QA], made: dict[str, Any] = PLAIN, **more: Any) -> EvalResult:
    make, model = made[vendor]
    options = {"progress": False, "backoff": Backoff(base=0.001, cap=0.01), **more}
    return run_samples(samples, make(), model=model, **options)


@pytest.mark.parametrize("seed", [0])
@pytest.mark.parametrize("vendor", VALID)
def test_two_hundred_odd_replies_are_two_hundred_rows(
    server: Any, openai_url: str, anthropic_url: str, vendor: str, seed: int, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    server.script(*(odd_reply(rng, vendor) for _ in range(200)))
    record = {"resume_path": tmp_path / "record.jsonl", "cache_dir": tmp_path / "cache"}
    first = run(vendor, questions(200), max_retries=0, **record)
    assert len(first.sample_results) == 200 and first.stopped is None and len(server.log) == 200
    failed = {str(row.sample.id) for row in first.sample_results if row.error}
    assert 50 < len(failed) < 190
    for row in first.sample_results:
        assert (row.score is None) == (row.error is not None) == (row.error_kind is not None)
        assert row.input_tokens >= 0 and row.output_tokens >= 0 and row.cost is not None and 0 <= row.cost < 1e6
        assert type(row.input_tokens) is int and (row.error is None or 0 < len(row.error) < 1200)
    write_summary(first, tmp_path)
    write_report(first, tmp_path / "report.html", title="odd")
    assert len(to_dataframe(first)) == 200 and sum(summary(first)["error_kinds"].values()) == len(failed)

    server.script()
    second = run(vendor, questions(200), **record)
    again = {f"q{entry['body']['messages'][-1]['content'].removeprefix('say ')}" for entry in server.log}
    lasting = {str(row.sample.id) for row in first.sample_results if row.permanent}
    refused = {str(row.sample.id) for row in first.sample_results if row.error_kind in ("400", "413", "422")}
    assert refused and refused <= lasting
    assert again == failed - lasting and len(server.log) == len(again)
    assert {str(row.sample.id) for row in second.errors} == lasting
    server.script()
    run(vendor, questions(200), retry_all=True, **record)
    assert len(server.log) == len(lasting)


@pytest.mark.parametrize("vendor", VALID)
def test_the_same_with_functions(server: Any, openai_url: str, anthropic_url: str, vendor: str) -> None:
    rng = random.Random(7)
    server.script(*(odd_reply(rng, vendor) for _ in range(150)))
    result = run(vendor, questions(60), CALLING, max_retries=0)
    assert len(result.sample_results) == 60 and result.stopped is None
    for entry in server.log:
        for message in entry["body"]["messages"]:
            blocks = message["content"] if isinstance(message["content"], list) else []
            assert all(block["text"].strip() for block in blocks if block.get("type") == "text")


@pytest.mark.parametrize("vendor", VALID)
@pytest.mark.parametrize("endless", ["body", "slow body", "slow head", "silence", "interim"])
def test_a_reply_without_an_end_is_given_up(
    server: Any, openai_url: str, anthropic_url: str, vendor: str, endless: str
) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
    reply: dict[str, Any] = {
        "body": {"wire": head + b'\r\n{"a": "', "endless": "x" * 65536},
        "slow body": {"wire": head + b"\r\n{", "endless": " ", "pause": 0.05},
        "slow head": {"wire": head, "endless": "x-a: b\r\n", "pause": 0.05},
        "silence": {"wire": b"", "endless": "", "pause": 0.05},
        "interim": {"wire": b"", "endless": "HTTP/1.1 102 Processing\r\n\r\n", "pause": 0.01},
    }[endless]
    server.script({**reply, "wire": base64.b64encode(reply["wire"]).decode()})
    provider = {"openai": OpenAIProvider, "anthropic": AnthropicProvider}[vendor](timeout=0.5)
    request = GetTextRequest(prompt=[Message("user", "hi")], context=None, temperature=0.0, max_tokens=9)
    started = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        provider.execute(PLAIN[vendor][1], request)
    assert caught.value.retryable and time.monotonic() - started < 20
    assert caught.value.kind in ("timeout", "garbled")
    assert provider.execute(PLAIN[vendor][1], request).txt == "hi", "the next request is answered"


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
