"""Any body of bytes, at every route: the server chooses the status, and it is never 500."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpt_from_scratch.evals.serve.limits import ServerLimits

CHOSEN = {200, 400, 404, 405, 408, 413, 431}
PATHS = ("/v1/completions", "/v1/chat/completions", "/tokenize", "/detokenize", "/attention")
VALID: dict[str, dict[str, Any]] = {
    "/v1/completions": {"model": "tiny", "prompt": "the cat", "max_tokens": 2},
    "/v1/chat/completions": {
        "model": "tiny",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
        "max_tokens": 2,
    },
    "/tokenize": {"prompt": "the cat"},
    "/detokenize": {"tokens": [1, 2]},
    "/attention": {"model": "tiny", "tokens": [1, 2], "layer": 1, "head": 1},
}
FIELDS = (
    "model prompt messages max_tokens max_completion_tokens n temperature top_p top_k "
    "seed stop logprobs top_logprobs echo stream stream_options include_usage include_obfuscation "
    "suffix best_of logit_bias presence_penalty frequency_penalty user tools tool_choice functions "
    "function_call response_format modalities metadata store tokens add_special_tokens return_token_strs service_tier "
    "role content type text unknown layer head return_token_ids "
)
FIELD_NAMES = FIELDS.split()


class Client:
    """Asks an application that runs, from outside of its event loop."""

    def __init__(self, runner: asyncio.Runner, server: Any) -> None:
        self._runner, self._server = runner, server

    def post(self, path: str, body: bytes, **headers: str) -> int:
        status, _, answer = self._runner.run(self._server.ask(path, body, headers=headers))
        assert status in CHOSEN, (status, body[:200])
        if not answer.startswith(b"data: "):
            parsed = json.loads(answer)
            assert status == 200 or parsed["error"]["message"]
        return int(status)


@pytest.fixture(scope="module")
def client(in_process: Callable[..., Any]) -> Iterator[Client]:
    server = in_process(limits=ServerLimits(max_tokens=8, n=3, stops=3))
    with asyncio.Runner() as runner:
        context = server.running()
        runner.run(context.__aenter__())
        yield Client(runner, server)
        runner.run(context.__aexit__(None, None, None))


def deep(levels: int, kind: str) -> str:
    return "[" * levels + "]" * levels if kind == "list" else '{"a":' * levels + "1" + "}" * levels


texts = st.text(st.characters(), max_size=8) | st.sampled_from(["\ud83d", "\udc00a", "\x00", "tiny", "text", "user"])
numbers = (
    st.integers()
    | st.floats()
    | st.sampled_from([10**40, -(10**400), 1 << 63, -1, 0, 1e308, -0.0, 5e-324, float("nan"), float("inf")])
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts | st.sampled_from(FIELD_NAMES), inner, max_size=4)
    ),
    max_leaves=8,
)


def places(value: Any) -> list[list[Any]]:
    """Every place in a JSON value, as the way to it."""
    found: list[list[Any]] = [[]]
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        found += [[name, *rest] for rest in places(part)]
    return found


def replaced(value: Any, way: list[Any], new: Any) -> Any:
    if not way:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = replaced(value[way[0]], way[1:], new)
    return copy


@pytest.mark.parametrize("path", PATHS)
@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_at_any_place(client: Client, path: str, data: st.DataObject) -> None:
    body = VALID[path] | data.draw(st.dictionaries(st.sampled_from(FIELD_NAMES), values, max_size=2))
    body = replaced(body, data.draw(st.sampled_from(places(body))), data.draw(values))
    client.post(path, json.dumps(body).encode())


@pytest.mark.parametrize("path", PATHS)
@given(body=st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(client: Client, path: str, body: bytes) -> None:
    assert client.post(path, body) != 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", ["list", "object"])
@pytest.mark.parametrize("levels", [31, 33, 964, 990, 200_000])
def test_any_depth_in_any_field(client: Client, path: str, kind: str, levels: int) -> None:
    for field in (*VALID[path], "stop", "logit_bias", "tools", "unknown", "metadata"):
        valid = json.dumps({name: value for name, value in VALID[path].items() if name != field})
        body = f'{valid[:-1]}{", " if len(valid) > 2 else ""}"{field}": {deep(levels, kind)}}}'
        status = client.post(path, body.encode())
        assert status == 400 or (status == 200 and levels == 31 and field == "metadata")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "change",
    [
        '"prompt": "a", "prompt": "b"',
        '"metadata": {"a": 1, "a": 2}',
        '"max_tokens": ' + "9" * 5000,
        '"temperature": 1e999',
        '"temperature": NaN',
        '"temperature": -Infinity',
        '"' + "x" * 100_000 + '": 1',
        '"stop": ["' + "a" * 300 + '"]',
        '"stop": ["a", "b", "c", "d"]',
        '"logit_bias": {' + ", ".join(f'"{token}": 1' for token in range(300)) + "}",
    ],
    ids=["twice", "twice-within", "digits", "overflow", "nan", "infinity", "name", "stop", "stops", "bias"],
)
def test_what_is_refused_in_words(client: Client, path: str, change: str) -> None:
    valid = json.dumps({name: value for name, value in VALID[path].items() if name not in change})
    assert client.post(path, f"{valid[:-1]}{', ' if len(valid) > 2 else ''}{change}}}".encode()) == 400


@pytest.mark.parametrize("length", ["", "x", "-1", "1.5", "٣", "9" * 5000, str(1 << 40)])
def test_any_announced_length(client: Client, length: str) -> None:
    if length.isascii():
        path = "/tokenize"
        status = client.post(path, json.dumps(VALID[path]).encode(), **{"content-length": length})
        assert status == (413 if length.isdecimal() else 400) if len(length) < 5000 else status in (413, 431)


def test_a_large_head_is_refused(client: Client) -> None:
    assert client.post("/tokenize", json.dumps(VALID["/tokenize"]).encode(), cookie="a" * 20_000) == 431


def test_what_would_be_too_large_an_answer_is_refused(in_process: Callable[..., Any]) -> None:
    async def run() -> None:
        async with in_process(limits=ServerLimits(rows=5, tokens=100)).running() as server:
            body = {**VALID["/v1/completions"], "prompt": ["a", "b"]}
            for change, words in (
                ({"n": 3}, "prompts times n may be at most 5, they are 6"),
                ({"max_tokens": 60}, "100 tokens over all prompts and choices"),
                ({"max_tokens": 30, "logprobs": 1}, "this could have 120"),
            ):
                status, _, answer = await server.ask("/v1/completions", body | change)
                assert status == 400 and words in json.loads(answer)["error"]["message"]
            assert (await server.ask("/v1/completions", body | {"n": 2}))[0] == 200

    asyncio.run(run())


def test_a_text_that_cannot_fit_is_refused_before_it_is_encoded(
    in_process: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        async with in_process().running() as server:
            tokenizer = server.server.checkpoint.tokenizer
            monkeypatch.setattr(type(tokenizer), "encode_ordinary", lambda self, text: pytest.fail("encoded"))
            body = {**VALID["/v1/completions"], "prompt": "the cat " * 1000}
            status, _, answer = await server.ask("/v1/completions", body)
            error = json.loads(answer)["error"]
            assert (status, error["code"]) == (400, "context_length_exceeded")
            assert "64 tokens, the prompt has at least" in error["message"]

    asyncio.run(run())
