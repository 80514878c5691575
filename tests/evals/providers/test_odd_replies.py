"""Whatever a vendor's server sends becomes a row: 200 generated replies for each vendor, over a real connection."""

import base64
import gzip
import json
import random
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from gpt_from_scratch.evals.protocol.messages import GetTextRequest, Message
from gpt_from_scratch.evals.protocol.provider import ProviderError
from gpt_from_scratch.evals.providers.anthropic_provider import AnthropicProvider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
from gpt_from_scratch.evals.results.report import write_report
from gpt_from_scratch.evals.results.results import summary, to_dataframe, write_summary
from tests.evals.providers.vendor_replies import (
    BOMB,
    CALLING,
    DELETED,
    PLAIN,
    VALID,
    WITH_CALL,
    http,
    places,
    questions,
    replaced,
    run,
)

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
