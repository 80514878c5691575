"""Text completion with a checkpoint: whole characters only, and without stop sequences."""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.generation.engine import Engine
from gpt_from_scratch.models.generation.sampling import Sampling, row_settings
from gpt_from_scratch.tokenizer.protocol import Tokenizer


@dataclass(frozen=True)
class Completion:
    """A completion: the text after a prompt, its number of tokens, and the reason of its end: "stop" or "length"."""

    text: str
    tokens: int
    finish: str


def complete(
    checkpoint: OpenedModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int | Sequence[int],
    sampling: Sampling | Sequence[Sampling],
    stops: Sequence[Sequence[str]] = (),
    max_rows: int = 64,
) -> list[Completion]:
    """Continue every prompt, in batches, to the end-of-text token, a stop sequence or its length.

    max_tokens: one number, or one a prompt
    sampling: one a prompt, or one for all: row i then has its `for_row(i)`
    stops: the stop sequences of each prompt
    """
    lengths = [max_tokens] * len(prompts) if isinstance(max_tokens, int) else list(max_tokens)
    end = checkpoint.tokenizer.eot_token
    settings = [replace(one, stop_tokens=(*one.stop_tokens, end)) for one in row_settings(sampling, len(prompts))]
    engine = Engine(checkpoint.model, n_vocab=checkpoint.tokenizer.n_vocab, max_rows=max_rows)
    streams = [TextStream(checkpoint.tokenizer, ends) for ends in stops or [()] * len(prompts)]
    made = [0] * len(prompts)
    done: list[Completion | None] = [None] * len(prompts)
    for prompt, length, one in zip(prompts, lengths, settings, strict=True):
        engine.add(prompt, length, one)
    while engine.busy:
        for new in engine.step():
            stream = streams[new.row]
            made[new.row] += 1
            if new.token not in settings[new.row].stop_tokens:
                stream.add(new.token)
            if stream.stopped:
                engine.remove(new.row)
            if stream.stopped or new.finish is not None:
                stream.finish()
                finish = "stop" if stream.stopped else str(new.finish)
                done[new.row] = Completion(stream.text, made[new.row], finish)
    return [one for one in done if one is not None]


def token_bytes(tokenizer: Tokenizer, token: int) -> bytes:
    """A token's bytes; U+FFFD for an id below `n_vocab` that the tokenizer lacks: a model may give it a probability."""
    try:
        return tokenizer.decode_bytes([token])
    except ValueError:
        return "\ufffd".encode()


class TextStream:
    """Turns tokens into text that may be sent.

    Held back are bytes that are not yet a whole character, and an end that may become a stop sequence. `offsets` has
    where in the text each token begins, in characters.
    """

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stops = tuple(stop for stop in stops if stop)  # the empty text is everywhere: it means none
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._sent = 0
        self.text = ""
        self.offsets: list[int] = []
        self.stopped = False

    def add(self, token: int) -> str:
        """Text that this token adds; `stopped` says that it completed a stop sequence."""
        self.offsets.append(len(self.text))
        self.text += self._decoder.decode(token_bytes(self._tokenizer, token))
        return self._release(last=False)

    def finish(self) -> str:
        """Return the text that was held back, at the end of the tokens."""
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
        """Number of characters at the end that may begin a stop sequence."""
        rest = len(self.text) - self._sent
        longest = 0
        for stop in self._stops:
            for size in range(min(rest, len(stop) - 1), longest, -1):
                if self.text.endswith(stop[:size]):
                    longest = size
                    break
        return longest
