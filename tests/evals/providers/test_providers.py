"""The vendors' real clients against the scripted server: requests as they are sent, errors as they come back."""

import json
import math
import socket
import threading
from typing import Any

import anthropic
import openai
import pytest

from gpt_from_scratch.evals.protocol.messages import GetProbsRequest, GetTextRequest, Message, Request
from gpt_from_scratch.evals.protocol.provider import MissingKeyError, Provider, ProviderError
from gpt_from_scratch.evals.providers.anthropic_provider import AnthropicProvider
from gpt_from_scratch.evals.providers.echo_provider import EchoProvider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider

PROMPT = [Message("system", "Be brief."), Message("user", "hi"), Message("assistant", "hello"), Message("user", "you?")]
TEXT = GetTextRequest(prompt=PROMPT, context="mine", temperature=0.5, max_tokens=9)
BARE = Request(prompt=PROMPT, context=None)


def bodies(server: Any) -> list[dict[str, Any]]:
    return [entry["body"] for entry in server.log]


def test_openai_text(server: Any, openai_url: str) -> None:
    response = OpenAIProvider().execute("gpt-4o", TEXT)
    assert response.txt == "you?" and response.context == "mine" and response.request is TEXT
    assert isinstance(response.raw_responses[0], openai.types.chat.ChatCompletion)
    messages = [{"role": message.role, "content": message.content} for message in PROMPT]
    assert bodies(server) == [{"model": "gpt-4o", "messages": messages, "temperature": 0.5, "max_tokens": 9}]
    assert server.log[0]["authorization"] == "Bearer sk-test-openai-secret"
    assert response.call.parameters == {"temperature": 0.5, "max_tokens": 9} and response.call.finish_reason == "stop"
    OpenAIProvider().execute("gpt-4o", BARE)
    assert bodies(server)[1] == {"model": "gpt-4o", "messages": messages}


@pytest.mark.parametrize(
    "model", ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.1-mini", "gpt-6-nano", "ft:o3:me"]
)
def test_reasoning_models_get_no_temperature(server: Any, openai_url: str, model: str) -> None:
    OpenAIProvider().execute(model, TEXT)
    (body,) = bodies(server)
    assert body["max_completion_tokens"] == 9 and not {"temperature", "max_tokens"} & body.keys()


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-3.5-turbo", "chatgpt-4o-latest", "gpt-5-chat-latest"])
def test_other_models_do(server: Any, openai_url: str, model: str) -> None:
    OpenAIProvider().execute(model, TEXT)
    assert bodies(server)[0]["temperature"] == 0.5 and bodies(server)[0]["max_tokens"] == 9


def test_openai_probabilities(server: Any, openai_url: str) -> None:
    top = [{"token": t, "logprob": math.log(p), "bytes": None} for t, p in (("A", 0.75), ("B", 0.25))]
    logprobs = {
        "content": [{"token": "A", "logprob": math.log(0.75), "bytes": None, "top_logprobs": top}],
        "refusal": None,
    }
    server.script({"text": "A", "choice": {"logprobs": logprobs}})
    request = GetProbsRequest(prompt=PROMPT[:2], context=None, min_top_n=2)
    response = OpenAIProvider().execute("gpt-4o", request)
    assert response.probs == pytest.approx({"A": 0.75, "B": 0.25})
    (body,) = bodies(server)
    assert {key: body[key] for key in ("max_tokens", "logprobs", "top_logprobs")} == {
        "max_tokens": 1,
        "logprobs": True,
        "top_logprobs": 2,
    }
    with pytest.raises(ProviderError, match="sent no log probabilities"):
        OpenAIProvider().execute("gpt-4o", request)
    with pytest.raises(ValueError, match="min_top_n is 1 to 20"):
        OpenAIProvider().execute("gpt-4o", GetProbsRequest(prompt=PROMPT, context=None, min_top_n=21))
    with pytest.raises(ValueError, match="gives no log probabilities"):
        OpenAIProvider().execute("o3", request)


def test_anthropic_text(server: Any, anthropic_url: str) -> None:
    response = AnthropicProvider().execute("claude-haiku-4-5", TEXT)
    assert response.txt == "you?" and isinstance(response.raw_responses[0], anthropic.types.Message)
    assert bodies(server) == [
        {
            "model": "claude-haiku-4-5",
            "system": "Be brief.",
            "messages": [{"role": message.role, "content": message.content} for message in PROMPT[1:]],
            "temperature": 0.5,
            "max_tokens": 9,
        }
    ]
    assert server.log[0]["authorization"].removeprefix("Bearer ") == "sk-ant-test-secret"


def test_anthropic_counts_the_tokens_of_its_prompt_cache(server: Any, anthropic_url: str) -> None:
    usage = {"input_tokens": 3, "output_tokens": 2, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 7}
    server.script({"text": "x", "usage": usage})
    call = AnthropicProvider().execute("claude-haiku-4-5", TEXT).call
    assert (call.usage.input_tokens, call.usage.output_tokens) == (15, 2)


def test_anthropic_probabilities_are_sampled(server: Any, anthropic_url: str) -> None:
    server.script(*({"text": text} for text in "AABA"))
    request = GetProbsRequest(prompt=PROMPT, context=None, min_top_n=1, num_samples=4)
    response = AnthropicProvider().execute("claude-haiku-4-5", request)
    assert response.probs == {"A": 0.75, "B": 0.25} and response.call.usage.input_tokens == 40
    assert {(body["max_tokens"], body["temperature"]) for body in bodies(server)} == {(1, 1.0)}
    with pytest.raises(ValueError, match="say num_samples"):
        AnthropicProvider().execute("claude-haiku-4-5", GetProbsRequest(prompt=PROMPT, context=None, min_top_n=1))


@pytest.mark.parametrize(
    ("reply", "retryable", "stops_run"),
    [
        ({"status": 400}, False, False),
        ({"status": 401}, False, True),
        ({"status": 403}, False, True),
        ({"status": 404}, False, False),
        ({"status": 408}, True, False),
        ({"status": 409}, True, False),
        ({"status": 422}, False, False),
        ({"status": 429}, True, False),
        ({"status": 429, "error": {"code": "insufficient_quota"}}, False, True),
        ({"status": 500}, True, False),
        ({"status": 500, "headers": {"x-should-retry": "false"}}, False, False),
        ({"status": 400, "headers": {"x-should-retry": "true"}}, True, False),
        ({"status": 503}, True, False),
        ({"status": 529}, True, False),
    ],
)
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_what_each_status_means(
    server: Any, openai_url: str, anthropic_url: str, vendor: str, reply: Any, retryable: bool, stops_run: bool
) -> None:
    server.script(reply)
    provider, model = (OpenAIProvider(), "gpt-4o") if vendor == "openai" else (AnthropicProvider(), "claude-opus-5")
    with pytest.raises(ProviderError) as caught:
        provider.execute(model, TEXT)
    error = caught.value
    assert (error.status, error.retryable, error.stops_run) == (reply["status"], retryable, stops_run)
    assert len(server.log) == 1 and error.kind == str(reply["status"])


@pytest.mark.parametrize(
    "reply", [{"raw": "no json"}, {"raw": "{}"}, {"raw": '{"choices": []}'}, {"raw": "<html>busy</html>"}, {"raw": ""}]
)
@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_a_reply_that_cannot_be_read_is_tried_again(
    server: Any, openai_url: str, anthropic_url: str, vendor: str, reply: Any
) -> None:
    server.script(reply)
    provider, model = (OpenAIProvider(), "gpt-4o") if vendor == "openai" else (AnthropicProvider(), "claude-opus-5")
    with pytest.raises(ProviderError) as caught:
        provider.execute(model, TEXT)
    assert caught.value.retryable


def test_no_server_and_no_answer(server: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        provider = OpenAIProvider(base_url=f"http://127.0.0.1:{unused.getsockname()[1]}/v1")
        with pytest.raises(ProviderError, match="no reply") as caught:
            provider.execute("m", TEXT)
        assert caught.value.retryable and caught.value.kind == "connection"
    server.script(delay=1.0)
    with pytest.raises(ProviderError, match="no reply") as caught:
        OpenAIProvider(base_url=f"{server.url}/v1", timeout=0.05).execute("m", TEXT)
    assert caught.value.retryable


def test_a_server_of_ones_own_never_sees_the_key(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real-secret")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-real-secret")
    OpenAIProvider(base_url=f"{server.url}/v1").execute("anything", TEXT)
    OpenAIProvider(base_url=f"{server.url}/v1", api_key="its own").execute("anything", TEXT)
    AnthropicProvider(base_url=server.url).execute("claude-opus-5", TEXT)
    sent = [entry["authorization"].removeprefix("Bearer ") for entry in server.log]
    assert sent == ["no key needed", "its own", "no key needed"]


def test_keys_are_blanked_out_of_errors(server: Any, openai_url: str) -> None:
    server.script({"status": 401, "error": {"message": "Incorrect API key: sk-test-openai-secret, Bearer abc"}})
    with pytest.raises(ProviderError) as caught:
        OpenAIProvider().execute("gpt-4o", TEXT)
    assert "secret" not in str(caught.value) and "abc" not in str(caught.value) and "[key]" in str(caught.value)


@pytest.mark.parametrize(
    ("provider", "model", "variable"),
    [(OpenAIProvider(), "gpt-4o", "OPENAI_API_KEY"), (AnthropicProvider(), "claude-opus-5", "ANTHROPIC_API_KEY")],
)
def test_a_missing_key_is_named(provider: Provider, model: str, variable: str) -> None:
    with pytest.raises(MissingKeyError, match=rf"{variable} is not set.*base_url.*'echo'"):
        provider.execute(model, TEXT)


def test_a_client_of_ones_own_is_used_without_its_retries(server: Any) -> None:
    client = openai.OpenAI(api_key="mine", base_url=f"{server.url}/v1", max_retries=5)
    server.script({"status": 500})
    with pytest.raises(ProviderError):
        OpenAIProvider(client=client).execute("gpt-4o", TEXT)
    assert len(server.log) == 1 and server.log[0]["authorization"] == "Bearer mine"


def test_a_changed_environment_makes_a_new_client(
    server: Any, openai_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = OpenAIProvider()
    first = provider.client
    assert provider.client is first
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    provider.execute("gpt-4o", TEXT)
    assert server.log[0]["authorization"] == "Bearer sk-another"
    monkeypatch.delenv("OPENAI_API_KEY")
    for _ in range(2):
        with pytest.raises(MissingKeyError):
            provider.execute("gpt-4o", TEXT)


def test_many_threads_share_one_client(server: Any, openai_url: str) -> None:
    provider, seen, barrier = OpenAIProvider(), [], threading.Barrier(16)

    def take() -> None:
        barrier.wait()
        seen.append(provider.client)

    threads = [threading.Thread(target=take) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(client) for client in seen}) == 1


def test_encode_and_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    assert EchoProvider().decode("echo", EchoProvider().encode("echo", "你好 r")) == "你好 r"
    with pytest.raises(NotImplementedError, match="publishes no tokenizer"):
        AnthropicProvider().encode("claude-opus-5", "x")
    with pytest.raises(ValueError, match="tiktoken knows no tokenizer for 'my-model'"):
        OpenAIProvider().encode("my-model", "x")


def test_all_are_providers_and_responses_are_json() -> None:
    for provider in (OpenAIProvider(), AnthropicProvider(), EchoProvider()):
        assert isinstance(provider, Provider)
    response = EchoProvider().execute("echo", TEXT)
    assert json.loads(json.dumps(response.as_dict())) == {
        "model_id": "echo",
        "request": {
            "context": "mine",
            "prompt": [{"role": message.role, "content": message.content} for message in PROMPT],
            "temperature": 0.5,
            "max_tokens": 9,
        },
        "context": "mine",
        "txt": "you?",
    }
