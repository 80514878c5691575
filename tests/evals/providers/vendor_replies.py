"""Replies of both vendors' servers as they should be, and the questions that get them."""

import base64
import copy
import gzip
from typing import Any

from gpt_from_scratch.evals.function_calling.anthropic.function_calling_provider import AnthropicFunctionCallingProvider
from gpt_from_scratch.evals.function_calling.openai.function_calling_provider import OpenAIFunctionCallingProvider
from gpt_from_scratch.evals.protocol.retry import Backoff
from gpt_from_scratch.evals.protocol.samples import QA, EvalResult
from gpt_from_scratch.evals.providers.anthropic_provider import AnthropicProvider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
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
