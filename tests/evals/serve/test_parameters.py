"""The bodies of requests: what is read from them, and each thing that is refused, by name."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpt_from_scratch.evals.serve.errors import RequestError
from gpt_from_scratch.evals.serve.fields import parse_object
from gpt_from_scratch.evals.serve.limits import ServerLimits
from gpt_from_scratch.evals.serve.parameters import Conversation, chat, completion

LIMITS = ServerLimits(max_tokens=100, n=4, prompts=3, logprobs=5, stops=2, stop_length=10)


def test_defaults_are_openais() -> None:
    read = completion({"model": "m", "prompt": "a"}, "m", LIMITS)
    assert (read.prompts, read.n, read.max_tokens, read.temperature, read.top_p) == (("a",), 1, 16, 1.0, 1.0)
    assert (read.top_k, read.top, read.echo, read.stream, read.stops) == (None, None, False, False, ())


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("a", ("a",)),
        (["a", ""], ("a", "")),
        ([1, 2], ((1, 2),)),
        ([[1], [2, 3]], ((1,), (2, 3))),
        (None, ("",)),
    ],
)
def test_every_form_of_a_prompt(prompt: Any, expected: tuple) -> None:
    assert completion({"model": "m", "prompt": prompt}, "m", LIMITS).prompts == expected


def test_a_conversation_is_its_messages_and_parts_joined() -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": "!"}]},
    ]
    body = {"model": "m", "messages": messages, "max_tokens": 3, "max_completion_tokens": 7, "logprobs": True}
    read = chat({**body, "top_logprobs": 2, "tools": [], "response_format": {"type": "text"}}, "m", LIMITS)
    assert read.prompts == (Conversation((("system", "Be kind."), ("user", "Hello!"))),)
    assert read.prompts[0].plain == "Be kind.\n\nHello!"
    assert (read.max_tokens, read.top) == (7, 2)
    assert chat({"model": "m", "messages": messages}, "m", LIMITS).top is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_tokens": 10**9}, "max_tokens must be an integer from 1 to 100, not 1000000000"),
        ({"max_tokens": 10**40}, "not an integer of more than 30 digits"),
        ({"max_tokens": 0}, "from 1 to 100"),
        ({"max_tokens": 1.5}, "not 1.5"),
        ({"max_tokens": True}, "not true"),
        ({"n": 5}, "n must be an integer from 1 to 4"),
        ({"temperature": -0.1}, "temperature must be a number from 0"),
        ({"temperature": "hot"}, 'not "hot"'),
        ({"top_p": 0}, "top_p must be"),
        ({"logprobs": 6}, "logprobs must be an integer from 0 to 5"),
        ({"stream": "yes"}, "stream must be true or false"),
        ({"stream_options": []}, "stream_options must be an object"),
        ({"stream_options": {"usage": True}}, "no field 'usage' here"),
        ({"stop": ["a", "b", "c"]}, "stop may have 2 texts of 10 characters"),
        ({"stop": "a" * 11}, "stop may have 2 texts"),
        ({"stop": [1]}, "stop must be a text or a list"),
        ({"prompt": {}}, "prompt must be a text, a list of tokens"),
        ({"prompt": []}, "prompt must be"),
        ({"prompt": [1, "a"]}, "prompt must be"),
        ({"prompt": [True]}, "prompt must be"),
        ({"prompt": ["a"] * 4}, "a request may have 3 prompts, this has 4"),
        ({"best_of": 3}, "best_of is not supported by this server, got 3"),
        ({"suffix": "x"}, "suffix is not supported"),
        ({"logit_bias": {"1": 5}}, "logit_bias is not supported"),
        ({"presence_penalty": 0.5}, "presence_penalty is not supported"),
        ({"temprature": 1}, "no field 'temprature' here. Did you mean 'temperature'"),
        ({"model": 1}, "model must be a text, not 1"),
        ({"seed": 1 << 70}, "seed must be an integer"),
    ],
)
def test_what_a_completion_may_not_ask(change: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        completion({"model": "m", "prompt": "a", **change}, "m", LIMITS)
    assert caught.value.status == 400
    json.dumps(caught.value.as_dict(), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"messages": []}, "messages must be a list of at least one"),
        ({"messages": ["hi"]}, "each of messages must be an object with a role and a content"),
        ({"messages": [[1]]}, "each of messages must be an object with a role and a content"),
        ({"messages": [None]}, "each of messages must be an object with a role and a content"),
        ({"messages": [{"content": "a"}]}, "needs a role"),
        ({"messages": [{"role": "user"}]}, "needs a content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "parts of type text"),
        ({"tools": [{"type": "function"}]}, "tools is not supported"),
        ({"response_format": {"type": "json_object"}}, "response_format is not supported"),
        ({"prompt": "a"}, "no field 'prompt' here"),
        ({"\ud800": 1}, "no field"),
    ],
)
def test_what_a_chat_may_not_ask(change: dict, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        chat({"model": "m", "messages": [{"role": "user", "content": "a"}], **change}, "m", LIMITS)
    json.dumps(caught.value.as_dict(), ensure_ascii=False).encode()


def test_another_model_is_not_answered_for() -> None:
    with pytest.raises(RequestError, match="no model 'gpt-4o' here; this server has 'm'") as caught:
        completion({"model": "gpt-4o", "prompt": "a"}, "m", LIMITS)
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff", b'{"a": NaN}', b"[" * 100_000, b'{"a":' + b"1" * 5000 + b"}"]
)
def test_what_is_not_a_json_object(body: bytes) -> None:
    with pytest.raises(RequestError, match=r"the body (is not JSON|must be a JSON object)"):
        parse_object(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from(
    ["model", "prompt", "messages", "max_tokens", "stop", "stream_options", "logprobs", "n", "top_k"]
)


@given(body=st.dictionaries(names | st.text(max_size=5), json_values, max_size=6))
def test_any_json_is_read_or_refused(body: dict) -> None:
    for read in (completion, chat):
        try:
            read({"model": "m", **body}, "m", LIMITS)
        except RequestError as error:
            assert error.status in (400, 404)
            json.dumps(error.as_dict(), ensure_ascii=False).encode()
