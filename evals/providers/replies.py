"""Parsing of a vendor's replies into our types; invalid ones raise `ProviderError`.

Nothing behind this file looks at a vendor's JSON. A reply without an answer that can be read is "garbled" and worth another
try; what is merely absent (a count, a reason) is zero or None.
"""

import dataclasses
import itertools
import json
import math
from typing import Any

from gpt_from_scratch.evals.protocol.credentials import blank
from gpt_from_scratch.evals.protocol.messages import Usage, without_surrogates
from gpt_from_scratch.evals.protocol.provider import ProviderError

MOST_DEPTH = 64
MOST_CALLS = 128
"""Of functions in one turn."""
MOST_TOKENS = 10**12
"""A count above it is no count."""


@dataclasses.dataclass(frozen=True)
class ToolCall:
    """One call of a function; `arguments` are JSON, as text (OpenAI) or read (Anthropic)."""

    id: str
    name: str
    arguments: str | dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Reply:
    """A model's reply.

    turn: the assistant's message in the vendor's form, as the next request sends it back
    counted: whether the server said what it used
    probs: of the first token, by text, where they were asked for
    raw: the vendor's own object
    """

    model: str
    text: str
    finish_reason: str | None
    usage: Usage
    counted: bool
    calls: tuple[ToolCall, ...]
    turn: dict[str, Any]
    probs: dict[str, float] | None = None
    raw: Any = None


def garbled(why: str, body: Any = None) -> ProviderError:
    """The error for a reply that cannot be read."""
    shown = "" if body is None else f": {_short(body)}"
    error = ProviderError(f"a reply that cannot be read ({why}){shown}", retryable=True, kind="garbled")
    error.uncounted = True
    return error


def read_json(body: bytes, secrets: frozenset[str]) -> Any:
    """A body as plain JSON: no half surrogates, no NaN (None), at most 64 deep, none of `secrets`. Raises ProviderError."""
    try:
        return _tidy(json.loads(body), secrets, MOST_DEPTH)
    except RecursionError:
        raise garbled("JSON that is nested too deep") from None
    except ValueError as error:  # no JSON, no UTF-8, or a number of thousands of digits
        raise garbled(str(error), body[:200].decode("utf-8", "replace")) from None


def _tidy(value: Any, secrets: frozenset[str], depth: int) -> Any:
    if isinstance(value, str):
        return blank(without_surrogates(value), secrets)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, dict | list):
        return value
    if depth == 0:
        raise garbled(f"JSON that is nested deeper than {MOST_DEPTH}")
    if isinstance(value, list):
        return [_tidy(item, secrets, depth - 1) for item in value]
    return {_tidy(name, secrets, 0): _tidy(item, secrets, depth - 1) for name, item in value.items()}


def openai_reply(body: Any) -> Reply:
    """A chat completion. Raises ProviderError."""
    choice = _first(body, "choices", garbled("it has no choices", body))
    message = choice.get("message")
    if not isinstance(message, dict):
        raise garbled("its choice has no message", body)
    content = message.get("content")
    text = _joined(content, body)
    if not text:  # a refusal is the text of what the model said instead
        text = _text(message.get("refusal")) or ""
    listed = message.get("tool_calls")
    if not isinstance(listed, list | None) or len(listed or []) > MOST_CALLS:
        raise garbled(f"its tool calls are no list of at most {MOST_CALLS}", body)
    ids = _distinct([_text(_dict(call).get("id"), 1) for call in listed or []])
    calls = tuple(_openai_call(call, identity, body) for call, identity in zip(listed or [], ids, strict=True))
    turn: dict[str, Any] = {"role": "assistant", "content": text if text or content is not None else None}
    if calls:
        turn["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    usage = _dict(body.get("usage"))
    read, written, total = (_count(usage.get(f"{name}_tokens")) for name in ("prompt", "completion", "total"))
    if read is not None and written is not None and total is not None:
        written = max(written, total - read)  # servers that count reasoning apart have it in the total alone
    return Reply(
        model=_text(body.get("model")) or "",
        text=text,
        finish_reason=_text(choice.get("finish_reason")),
        usage=Usage(read or 0, written or 0),
        counted=_is_counted(read, written, bool(text or calls)),
        calls=calls,
        turn=turn,
        probs=_top_logprobs(choice.get("logprobs")),
    )


def anthropic_reply(body: Any) -> Reply:
    """A message. Raises ProviderError."""
    content = _dict(body).get("content")
    if not isinstance(content, str | list):
        raise garbled("it has no content", body)
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not all(isinstance(block, dict) for block in blocks):
        raise garbled("a block of its content is no object", body)
    usage = _dict(body.get("usage"))
    read, written = _count(usage.get("input_tokens")), _count(usage.get("output_tokens"))
    stored, reread = (_count(usage.get(f"cache_{name}_input_tokens")) or 0 for name in ("creation", "read"))
    calling = [block for block in blocks if block.get("type") == "tool_use"]
    ids = _distinct([_text(block.get("id")) for block in calling])
    calls = tuple(_anthropic_call(block, identity, body) for block, identity in zip(calling, ids, strict=True))
    blocks = [{**block, "id": ids.pop(0)} if block.get("type") == "tool_use" else block for block in blocks]
    if len(calls) > MOST_CALLS:
        raise garbled(f"it calls more than {MOST_CALLS} functions", body)
    # Blocks go back as they came (a thinking block with its signature), save empty ones, which the API refuses.
    turn = [_without_none(block) for block in blocks if block.get("type") != "text" or _text(block.get("text"), 1)]
    text = _joined(blocks, body)
    return Reply(
        model=_text(body.get("model")) or "",
        text=text,
        finish_reason=_text(body.get("stop_reason")),
        usage=Usage((read or 0) + stored + reread, written or 0, stored),
        counted=_is_counted(None if read is None else read + stored + reread, written, bool(text or calls)),
        calls=calls,
        turn={"role": "assistant", "content": turn},
    )


def _openai_call(call: Any, identity: str, body: Any) -> ToolCall:
    function = _dict(_dict(call).get("function"))
    name, arguments = _text(function.get("name")), function.get("arguments")
    if name is None:
        raise garbled("a tool call names no function", body)
    written = arguments if isinstance(arguments, str) else "{}" if arguments is None else json.dumps(arguments)
    return ToolCall(identity, name, written)


def _anthropic_call(block: dict[str, Any], identity: str, body: Any) -> ToolCall:
    name, arguments = _text(block.get("name")), block.get("input")
    if name is None or _text(block.get("id")) is None:
        raise garbled("a tool call has no name or no id", body)
    if not isinstance(arguments, dict | str | None):
        raise garbled("the input of a tool call is no object", body)
    return ToolCall(identity, name, {} if arguments is None else arguments)


def _distinct(ids: list[str | None]) -> list[str]:
    """Ids of a turn's calls, none of them twice: a result would answer two calls, which the vendors refuse."""
    taken = {identity for identity in ids if identity is not None}
    names = (name for number in itertools.count() if (name := f"call_{number}") not in taken)
    made: dict[str, None] = {}
    for identity in ids:
        made[next(names) if identity is None or identity in made else identity] = None
    return list(made)


def _joined(content: Any, body: Any) -> str:
    """The text of a content: itself, or its parts', joined. What a model thought, and what is no text, is left out."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise garbled("its content is no text", body)
    texts, refusals = [], []
    for part in content:
        kind = "text" if isinstance(part, str) else _dict(part).get("type")
        if kind in ("text", "output_text"):
            text = part if isinstance(part, str) else part.get("text")
            text = text.get("value") if isinstance(text, dict) else text
            if not isinstance(text, str | None):
                raise garbled("a part of its content is no text", body)
            texts.append(text or "")
        elif kind == "refusal":
            refusals.append(_text(part.get("refusal")) or "")
        elif not isinstance(part, dict):
            raise garbled("a part of its content is no object", body)
    return "".join(texts) or "".join(refusals)


def _top_logprobs(logprobs: Any) -> dict[str, float] | None:
    content = _dict(logprobs).get("content")
    first = content[0] if isinstance(content, list) and content else None
    listed = _dict(first).get("top_logprobs")
    probs = {}
    for entry in listed if isinstance(listed, list) else []:
        token, logprob = _text(_dict(entry).get("token")), _dict(entry).get("logprob")
        if token is not None and isinstance(logprob, int | float) and logprob <= 0 and not isinstance(logprob, bool):
            probs[token] = math.exp(max(logprob, -1e6))
    return probs or None


def _first(body: Any, name: str, otherwise: ProviderError) -> dict[str, Any]:
    listed = _dict(body).get(name)
    if not isinstance(listed, list) or not listed or not isinstance(listed[0], dict):
        raise otherwise
    return listed[0]


def _count(value: Any) -> int | None:
    """A number of tokens; None where it is no whole number from 0 on."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else None


def _is_counted(read: int | None, written: int | None, has_answer: bool) -> bool:
    """Whether these are counts: no question takes no token, and no answer of some length takes none."""
    return bool(read) and written is not None and (written > 0 or not has_answer)


def _text(value: Any, least: int = 0) -> str | None:
    """A text; with `least`, one that has a character other than white space."""
    return value if isinstance(value, str) and (not least or value.strip()) else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _without_none(value: Any) -> Any:
    """Null fields left out, at every depth but in a tool's own input."""
    if not isinstance(value, dict):
        return value
    return {name: item if name == "input" else _without_none(item) for name, item in value.items() if item is not None}


def _short(body: Any) -> str:
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return repr(text[:200])
