"""Anthropic's real client against the scripted server: what is sent, message by message."""

import functools
import json
from typing import Any

import anthropic
import pytest

from gpt_from_scratch.evals.function_calling.anthropic.function_call_handler import FunctionCallHandler
from gpt_from_scratch.evals.function_calling.anthropic.function_calling_provider import (
    AnthropicFunctionCallingProvider,
    MaxIterationsReachedError,
)
from gpt_from_scratch.evals.function_calling.anthropic.schemas import generate_json_schema_for_function
from gpt_from_scratch.evals.protocol.messages import GetTextRequest, Message, Request
from gpt_from_scratch.evals.protocol.provider import MissingKeyError


def letters(tokenizer: dict[str, int], text: str, letter: str = "r") -> int:
    """Count a letter.

    Args:
        text: where to count
        letter: what to count
    """
    if not text:
        raise ValueError("there is no text")
    return text.count(letter) + tokenizer["start"]


count = functools.partial(letters, {"start": 0})

TOOL = {
    "name": "letters",
    "description": "Count a letter.",
    "input_schema": {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "where to count"},
            "letter": {"type": "string", "description": "what to count", "default": "r"},
        },
        "required": ["text"],
        "additionalProperties": False,
    },
}


def question(text: str) -> Request:
    return Request(prompt=[Message("system", "Be brief."), Message("user", text)], context=None)


def use(index: int, arguments: dict[str, Any], name: str = "letters") -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": arguments}


def test_a_tool_round_trip_message_by_message(server: Any, anthropic_url: str) -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "signed"},
        {"type": "text", "text": "Let me count."},
        use(0, {"text": "你好 strawberry"}),
        use(1, {"text": ""}),
    ]
    server.script({"message": blocks}, {"text": "There are 3."})
    response = AnthropicFunctionCallingProvider([count]).execute(
        "function-calling-claude-haiku-4-5", question("How many r's?")
    )
    assert response.txt == "There are 3."
    user = {"role": "user", "content": "How many r's?"}
    first = {
        "model": "claude-haiku-4-5",
        "max_tokens": 4096,
        "system": "Be brief.",
        "messages": [user],
        "tools": [TOOL],
    }
    sent = [entry["body"] for entry in server.log]
    assert sent[0] == first
    assert {key: value for key, value in sent[1].items() if key != "messages"} == {
        key: value for key, value in first.items() if key != "messages"
    }
    assert sent[1]["messages"][:2] == [user, {"role": "assistant", "content": blocks}]
    good, bad = sent[1]["messages"][2]["content"]
    assert sent[1]["messages"][2]["role"] == "user" and len(sent[1]["messages"]) == 3
    assert good == {"type": "tool_result", "tool_use_id": "toolu_0", "content": "3", "is_error": False}
    assert bad["is_error"] is True and json.loads(bad["content"])["message"] == "there is no text"
    assert {entry["path"] for entry in server.log} == {"/v1/messages"}
    assert response.call.usage.input_tokens == 20 and response.call.served_model == "claude-haiku-4-5-served"


def test_errors_reach_the_model(server: Any, anthropic_url: str) -> None:
    server.script({"message": [use(0, {}, name="no_such"), use(1, {"text": 3.5, "no": 1})]}, {"text": "ok"})
    AnthropicFunctionCallingProvider([count]).execute("function-calling-claude-haiku-4-5", question("?"))
    results = server.log[1]["body"]["messages"][-1]["content"]
    assert [json.loads(result["content"])["type"] for result in results] == ["UnknownToolError", "ValidationError"]
    assert all(result["is_error"] for result in results)


def test_temperature_goes_to_the_models_that_take_one(server: Any, anthropic_url: str) -> None:
    request = GetTextRequest(prompt=[Message("user", "hi")], context=None, temperature=0.5, max_tokens=9)
    provider = AnthropicFunctionCallingProvider([count], strict=True)
    for model in ("claude-haiku-4-5-20251001", "claude-opus-4-7", "claude-opus-5"):
        provider.execute(f"function-calling-{model}", request)
    bodies = [entry["body"] for entry in server.log]
    assert [body.get("temperature") for body in bodies] == [0.5, None, None]
    assert {body["max_tokens"] for body in bodies} == {9} and "system" not in bodies[0]
    assert bodies[0]["tools"][0]["strict"] is True


def test_max_iterations(server: Any, anthropic_url: str) -> None:
    server.script(*[{"message": [use(0, {"text": "r"})]}] * 4)
    with pytest.raises(MaxIterationsReachedError) as caught:
        AnthropicFunctionCallingProvider([count]).execute("function-calling-claude-haiku-4-5", question("?"))
    assert len(server.log) == 3 and len(caught.value.messages) == 1 + 2 * 3


def test_no_key() -> None:
    with pytest.raises(MissingKeyError, match=r"ANTHROPIC_API_KEY is not set.*'echo'"):
        AnthropicFunctionCallingProvider([count]).execute("function-calling-claude-haiku-4-5", question("?"))


def test_the_handler_alone() -> None:
    handler = FunctionCallHandler(functions=[count])
    call = anthropic.types.ToolUseBlock(type="tool_use", id="toolu_1", name="letters", input={"text": "rr"})
    assert handler._resolve_function_call(call) == 2
    assert handler.resolve(call) == {
        "type": "tool_result",
        "tool_use_id": "toolu_1",
        "content": "2",
        "is_error": False,
    }
    assert handler.get_schema_for_tools_arg() == [TOOL] == [generate_json_schema_for_function(count)]
