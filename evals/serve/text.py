"""A continuation's text as it grows, token by token: whole characters only, and nothing of a stop sequence."""

import codecs
from collections.abc import Sequence
from typing import Any

from gpt_from_scratch.models.generation import Scored
from gpt_from_scratch.tokenizer.protocol import Tokenizer


class TextStream:
    """Turns tokens into text that may be sent.

    Held back are bytes that are not yet a whole character, and an end that may become a stop sequence. `offsets` has
    where in the text each token begins, in characters.
    """

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str] = ()) -> None:
        self._tokenizer, self._stops = tokenizer, stops
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._sent = 0
        self.text = ""
        self.offsets: list[int] = []
        self.stopped = False

    def add(self, token: int) -> str:
        """Text that this token adds; `stopped` says that it completed a stop sequence."""
        self.offsets.append(len(self.text))
        self.text += self._decoder.decode(self._tokenizer.decode_bytes([token]))
        return self._release(last=False)

    def finish(self) -> str:
        """What was held back, since no more tokens come."""
        if not self.stopped:
            self.text += self._decoder.decode(b"", final=True)
        return self._release(last=True)

    def _release(self, *, last: bool) -> str:
        if not self.stopped:
            found = [place for stop in self._stops if (place := self.text.find(stop, self._sent)) >= 0]
            if found:
                self.text, self.stopped = self.text[: min(found)], True
        end = len(self.text) if last or self.stopped else len(self.text) - self._held()
        piece, self._sent = self.text[self._sent : end], end
        return piece

    def _held(self) -> int:
        """How many characters at the end may be the beginning of a stop sequence."""
        rest = len(self.text) - self._sent
        longest = 0
        for stop in self._stops:
            for size in range(min(rest, len(stop) - 1), longest, -1):
                if self.text.endswith(stop[:size]):
                    longest = size
                    break
        return longest


def token_text(tokenizer: Tokenizer, token: int) -> str:
    """A token for people and for JSON: its text, or OpenAI's "bytes:\\\\x.." where it is no whole characters."""
    data = tokenizer.decode_bytes([token])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def completion_logprobs(tokenizer: Tokenizer, scored: Sequence[Scored | int], offsets: Sequence[int]) -> dict[str, Any]:
    """The logprobs of /v1/completions. A bare token (a prompt's first) has none: nothing comes before it."""
    tokens, own, tops = [], [], []
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
        data = tokenizer.decode_bytes([token])
        return {"token": token_text(tokenizer, token), "logprob": logprob, "bytes": list(data)}

    content = [
        {**entry(one.token, one.logprob), "top_logprobs": [entry(token, logprob) for token, logprob in one.top]}
        for one in scored
    ]
    return {"content": content, "refusal": None}
