"""The example that started it: a model that is asked to count letters, and given a tokenizer to look at its own tokens."""

import functools
import json
from typing import Any

import pytest

from gpt_from_scratch.evals.function_calling.anthropic.function_calling_provider import AnthropicFunctionCallingProvider
from gpt_from_scratch.evals.function_calling.openai.function_calling_provider import OpenAIFunctionCallingProvider
from gpt_from_scratch.evals.protocol.messages import Message, Request
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.tokenizer.views.tokens import get_detailed_and_complete_tokenization_info_for_text

TEXT = "你好 strawberry"
NAME = "get_detailed_and_complete_tokenization_info_for_text"
tokenize = functools.partial(get_detailed_and_complete_tokenization_info_for_text, CharacterTokenizer.from_text(TEXT))


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_how_many_rs_are_in_strawberry(server: Any, openai_url: str, anthropic_url: str, vendor: str) -> None:
    if vendor == "openai":
        provider: Any = OpenAIFunctionCallingProvider(functions=[tokenize])
        model = "function-calling-gpt-4o"
        function = {"name": NAME, "arguments": json.dumps({"text": TEXT})}
        call: Any = {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": function}]}
    else:
        provider, model = AnthropicFunctionCallingProvider(functions=[tokenize]), "function-calling-claude-haiku-4-5"
        call = [{"type": "tool_use", "id": "1", "name": NAME, "input": {"text": TEXT}}]
    server.script({"message": call}, {"text": "There are 3."})
    request = Request(prompt=[Message("user", f"How many 'r's are in: {TEXT}?")], context=None)
    assert provider.execute(model, request).txt == "There are 3."
    first, second = (entry["body"] for entry in server.log)
    tool = first["tools"][0]["function"] if vendor == "openai" else first["tools"][0]
    schema = tool["parameters"] if vendor == "openai" else tool["input_schema"]
    assert tool["name"] == NAME and schema["properties"].keys() == {"text"} and "characters" in tool["description"]
    answer = second["messages"][-1]
    content = answer["content"] if vendor == "openai" else answer["content"][0]["content"]
    tokens = json.loads(content)
    assert [token["token_string"] for token in tokens] == list(TEXT)
    assert sum("r" in token["token_split_into_characters"] for token in tokens) == 3
