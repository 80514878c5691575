"""OpenAI's real client against the scripted server: what is sent, message by message."""

import dataclasses
import functools
import json
from typing import Any

import pytest

from gpt_from_scratch.evals.function_calling.openai.function_call_handler import FunctionCallHandler
from gpt_from_scratch.evals.function_calling.openai.function_calling_provider import (
    MaxIterationsReachedError,
    OpenAIFunctionCallingProvider,
)
from gpt_from_scratch.evals.function_calling.openai.schemas import generate_json_schema_for_function
from gpt_from_scratch.evals.protocol.messages import GetProbsRequest, GetTextRequest, Message, Request
from gpt_from_scratch.evals.protocol.provider import MissingKeyError, ProviderError
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider


def letters(tokenizer: dict[str, int], text: str, letter: str = "r") -> dict[str, int]:
    """Count a letter.

    Args:
        text: where to count
        letter: what to count
    """
    return {"count": text.count(letter), "start": tokenizer["start"]}


count = functools.partial(letters, {"start": 7})

TOOL = {
    "type": "function",
    "function": {
        "name": "letters",
        "description": "Count a letter.",
        "parameters": {
            "type": "object",
            "properties": {
                "text": {"type": "string", "description": "where to count"},
                "letter": {
                    "type": ["string", "null"],
                    "description": 'what to count (optional; null means the default, "r")',
                },
            },
            "required": ["text", "letter"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


def question(text: str) -> Request:
    return Request(prompt=[Message("system", "Be brief."), Message("user", text)], context="mine")


def calls(*arguments: str, name: str = "letters") -> dict[str, Any]:
    """A reply that calls a function once for each of `arguments`."""
    made = [
        {"id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": text}}
        for i, text in enumerate(arguments)
    ]
    return {"message": {"role": "assistant", "content": None, "tool_calls": made}}


def test_a_tool_round_trip_message_by_message(server: Any, openai_url: str) -> None:
    arguments = '{"text": "你好 strawberry", "letter": null}'
    server.script(calls(arguments), {"text": "There are 3."})
    response = OpenAIFunctionCallingProvider([count]).execute(
        "function-calling-gpt-4o", question("How many 'r's are in: 你好 strawberry")
    )
    assert response.txt == "There are 3." and response.context == "mine"
    prompt = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How many 'r's are in: 你好 strawberry"},
    ]
    first = {"model": "gpt-4o", "messages": prompt, "tools": [TOOL], "parallel_tool_calls": False}
    turn = [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_0", "type": "function", "function": {"name": "letters", "arguments": arguments}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_0", "content": '{"count":3,"start":7}'},
    ]
    assert [entry["body"] for entry in server.log] == [first, {**first, "messages": prompt + turn}]
    assert {entry["path"] for entry in server.log} == {"/v1/chat/completions"}
    assert response.call.usage.input_tokens == 20 and response.call.usage.output_tokens == 10
    assert response.call.served_model == "gpt-4o-served"
    assert response.call.transcript == [*turn, {"role": "assistant", "content": "There are 3."}]
    assert json.dumps(response.as_dict())


def test_parallel_calls_are_answered_in_order(server: Any, openai_url: str) -> None:
    server.script(calls('{"text": "rr"}', '{"text": "nothing"}', "{bad"), {"text": "done"})
    provider = OpenAIFunctionCallingProvider([count], strict=False)
    assert provider.execute("function-calling-gpt-4o-2024-08-06", question("?")).txt == "done"
    first, second = (entry["body"] for entry in server.log)
    assert "parallel_tool_calls" not in first and first["tools"][0]["function"]["strict"] is False
    results = [message for message in second["messages"] if message["role"] == "tool"]
    assert [result["tool_call_id"] for result in results] == ["call_0", "call_1", "call_2"]
    assert results[0]["content"] == '{"count":2,"start":7}'
    assert json.loads(results[2]["content"])["type"] == "ArgumentsNotJSONError"


def test_temperature_and_max_tokens_are_honoured(server: Any, openai_url: str) -> None:
    request = GetTextRequest(prompt=[Message("user", "hi")], context=None, temperature=0.5, max_tokens=9)
    provider = OpenAIFunctionCallingProvider([count], parallel_tool_calls=True)
    provider.execute("function-calling-gpt-4o", request)
    provider.execute("function-calling-o3-mini", request)
    classic, reasoning = (entry["body"] for entry in server.log)
    assert (classic["temperature"], classic["max_tokens"]) == (0.5, 9)
    assert reasoning["max_completion_tokens"] == 9 and not {"temperature", "parallel_tool_calls"} & reasoning.keys()
    assert classic["parallel_tool_calls"] is True


def test_max_iterations_carries_the_conversation(server: Any, openai_url: str) -> None:
    server.script(*[calls('{"text": "r"}')] * 5)
    with pytest.raises(MaxIterationsReachedError, match="after 2 turns") as caught:
        OpenAIFunctionCallingProvider([count], max_iterations_per_execution=2).execute(
            "function-calling-gpt-4o", question("?")
        )
    assert [message["role"] for message in caught.value.messages] == [
        *("system", "user"),
        *("assistant", "tool") * 2,
    ]
    assert caught.value.usage.input_tokens == 20 and len(server.log) == 2


def test_a_failure_between_turns_keeps_what_was_used(server: Any, openai_url: str) -> None:
    server.script(calls('{"text": "r"}'), {"status": 500})
    with pytest.raises(ProviderError, match="HTTP 500") as caught:
        OpenAIFunctionCallingProvider([count]).execute("function-calling-gpt-4o", question("?"))
    assert caught.value.retryable and caught.value.usage.input_tokens == 10


def test_which_models_it_has() -> None:
    provider = OpenAIFunctionCallingProvider([count])
    assert provider.provides_model("function-calling-gpt-4o-mini")
    assert not provider.provides_model("gpt-4o-mini")
    assert not provider.provides_model("function-calling-claude-haiku-4-5")


def test_a_server_of_ones_own(server: Any) -> None:
    own = OpenAIProvider(base_url=f"{server.url}/v1", prefix="mine/")
    provider = OpenAIFunctionCallingProvider([count], provider=own)
    assert provider.provides_model("function-calling-mine/tiny")
    assert provider.execute("function-calling-mine/tiny", question("hello")).txt == "hello"
    assert server.log[0]["body"]["model"] == "tiny"


def test_no_key_and_no_probabilities() -> None:
    provider = OpenAIFunctionCallingProvider([count])
    with pytest.raises(MissingKeyError, match=r"OPENAI_API_KEY is not set.*'echo'"):
        provider.execute("function-calling-gpt-4o", question("?"))
    with pytest.raises(ValueError, match="gives text only"):
        provider.execute("function-calling-gpt-4o", GetProbsRequest(prompt=[], context=None, min_top_n=1))
    with pytest.raises(ValueError, match="at least 1, not 0"):
        OpenAIFunctionCallingProvider([count], 0)


def foo(bar: int, buzz: str = "cat") -> str:
    """Call this.

    Args:
        bar (int): User provided value.
        buzz (str): Unused.
    """
    return f"foo-{bar}-{buzz}"


@dataclasses.dataclass
class Function:
    arguments: str
    name: str


@dataclasses.dataclass
class ToolCall:
    """Looks like the SDK's own; nothing of the SDK is needed to answer one."""

    id: str
    function: Function


def test_the_handler_alone() -> None:
    handler = FunctionCallHandler(functions=[foo, count])
    call = ToolCall("call_1", Function('{"bar": 23}', "foo"))
    assert handler._resolve_function_call(call) == "foo-23-cat"
    assert handler.resolve(call) == {"role": "tool", "tool_call_id": "call_1", "content": "foo-23-cat"}
    assert handler.get_schema_for_tools_arg()[1] == TOOL
    assert handler.get_schema_for_tools_arg()[0] == {
        "type": "function",
        "function": generate_json_schema_for_function(foo),
    }
