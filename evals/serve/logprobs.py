"""Tokens and their log-probabilities in JSON, as both of OpenAI's endpoints write them."""

from collections.abc import Sequence
from typing import Any

from gpt_from_scratch.evals.scoring.completion import token_bytes
from gpt_from_scratch.models.generation.scored import Scored
from gpt_from_scratch.tokenizer.protocol import Tokenizer


def token_text(tokenizer: Tokenizer, token: int) -> str:
    """A token for people and for JSON: its text, or OpenAI's "bytes:\\\\x.." where it is no whole characters."""
    data = token_bytes(tokenizer, token)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def completion_logprobs(tokenizer: Tokenizer, scored: Sequence[Scored | int], offsets: Sequence[int]) -> dict[str, Any]:
    """The logprobs of /v1/completions. A bare token (a prompt's first) has none: nothing comes before it."""
    tokens: list[str] = []
    own: list[float | None] = []
    tops: list[dict[str, float] | None] = []
    for one in scored:
        if isinstance(one, int):
            tokens.append(token_text(tokenizer, one))
            own.append(None)
            tops.append(None)
            continue
        tokens.append(token_text(tokenizer, one.token))
        own.append(one.logprob)
        # Several tokens may have one text; the likeliest stands for it. The chosen one is always there.
        top: dict[str, float] = {}
        for token, logprob in (*one.top, (one.token, one.logprob)):
            text = token_text(tokenizer, token)
            top[text] = max(logprob, top.get(text, logprob))
        tops.append(top)
    return {"tokens": tokens, "token_logprobs": own, "top_logprobs": tops, "text_offset": list(offsets)}


def chat_logprobs(tokenizer: Tokenizer, scored: Sequence[Scored]) -> dict[str, Any]:
    """The logprobs of /v1/chat/completions."""

    def entry(token: int, logprob: float) -> dict[str, Any]:
        data = token_bytes(tokenizer, token)
        return {"token": token_text(tokenizer, token), "logprob": logprob, "bytes": list(data)}

    content = [
        {**entry(one.token, one.logprob), "top_logprobs": [entry(token, logprob) for token, logprob in one.top]}
        for one in scored
    ]
    return {"content": content, "refusal": None}
