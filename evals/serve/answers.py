"""Responses to generation requests, complete or as a stream of events, in the formats of both endpoints."""

import asyncio
import contextlib
import dataclasses
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from gpt_from_scratch.evals.scoring.completion import TextStream
from gpt_from_scratch.evals.serve.errors import RequestError
from gpt_from_scratch.evals.serve.logprobs import chat_logprobs, completion_logprobs
from gpt_from_scratch.evals.serve.parameters import Conversation, Parameters
from gpt_from_scratch.evals.serve.worker import ServedRow, Worker
from gpt_from_scratch.models.checkpoints.opening import OpenedModel
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.models.generation.scored import Scored
from gpt_from_scratch.tokenizer.chat.encoding import encode as encode_messages
from gpt_from_scratch.tokenizer.chat.encoding import stop_tokens
from gpt_from_scratch.tokenizer.chat.template import template_of
from gpt_from_scratch.tokenizer.protocol import Tokenizer


@dataclasses.dataclass
class Piece:
    """A part of a choice: text, the tokens behind it (a bare one has no score) and where each begins, and how it ended.

    prompt: the choice's prompt, on its first piece
    """

    index: int
    text: str = ""
    scored: list[Scored | int] = dataclasses.field(default_factory=list)
    offsets: list[int] = dataclasses.field(default_factory=list)
    finish: str | None = None
    prompt: tuple[int, ...] | None = None
    tokens: list[int] = dataclasses.field(default_factory=list)

    def extend(self, other: "Piece", with_scores: bool) -> None:
        self.text += other.text
        self.finish = other.finish
        self.prompt = self.prompt or other.prompt
        self.tokens += other.tokens
        if with_scores:  # else they would only take room
            self.scored += other.scored
            self.offsets += other.offsets


@dataclasses.dataclass
class TokenCounts:
    """Tokens of the prompts, each counted once, and tokens made."""

    prompt: int
    completion: int = 0

    def as_dict(self) -> dict[str, int]:
        total = self.prompt + self.completion
        return {"prompt_tokens": self.prompt, "completion_tokens": self.completion, "total_tokens": total}


def check_tokens(tokens: Sequence[int], checkpoint: OpenedModel, param: str) -> None:
    """Raise RequestError on an id that the tokenizer lacks."""
    size = checkpoint.tokenizer.n_vocab
    if (bad := next((token for token in tokens if not 0 <= token < size), None)) is not None:
        shown = bad if abs(bad) < 10**30 else "of more than 30 digits"
        raise RequestError(f"token {shown} is not among the tokenizer's {size}", param=param)
    try:
        checkpoint.tokenizer.decode_bytes(tokens)
    except ValueError as error:  # an id that was left out
        raise RequestError(str(error), param=param) from error


def text_tokens(tokenizer: Tokenizer, text: str) -> list[int]:
    """A text's tokens. Raises RequestError where it has none."""
    try:
        return tokenizer.encode_ordinary(text)
    except ValueError as error:  # a character that the tokenizer does not know, half a character
        raise RequestError(f"the prompt cannot be encoded: {error}", param="prompt") from error


def encode(checkpoint: OpenedModel, parameters: Parameters, longest_token: int) -> list[tuple[int, ...]]:
    """The prompts' tokens; an empty text is the end-of-text token.

    longest_token: in bytes; a text that cannot fit the context is refused before the work of encoding it

    Raises:
        RequestError: a prompt that cannot be encoded, or that the context has no room for.
    """
    encoded = []
    for prompt in parameters.prompts:
        if isinstance(prompt, Conversation):
            tokens = conversation_tokens(checkpoint, prompt, longest_token)
        elif isinstance(prompt, str):
            _check_length(-(-len(prompt) // longest_token), checkpoint.context, "at least ")
            tokens = tuple(text_tokens(checkpoint.tokenizer, prompt))
        else:
            check_tokens(prompt, checkpoint, "prompt")
            tokens = prompt
        _check_length(len(tokens), checkpoint.context)
        encoded.append(tokens or (checkpoint.tokenizer.eot_token,))
    return encoded


def conversation_tokens(checkpoint: OpenedModel, conversation: Conversation, longest_token: int) -> tuple[int, ...]:
    """The tokens before the next answer, behind the end-of-text token, as the model has learned conversations.

    Raises:
        RequestError: a conversation that the chat template refuses, or a text that cannot be encoded.
    """
    _check_length(-(-len(conversation.plain) // longest_token), checkpoint.context, "at least ")
    tokenizer = checkpoint.tokenizer
    if template_of(tokenizer) is None:
        return tuple(text_tokens(tokenizer, conversation.plain))
    messages = [{"role": role, "content": content} for role, content in conversation.messages]
    try:
        return (tokenizer.eot_token, *encode_messages(tokenizer, messages, asks=True).tokens)
    except ValueError as error:
        raise RequestError(str(error), param="messages") from error


def _check_length(tokens: int, context: int, about: str = "") -> None:
    if tokens > context:
        raise RequestError(
            f"this model's maximum context length is {context} tokens, the prompt has {about}{tokens}",
            param="prompt",
            code="context_length_exceeded",
        )


async def pieces(
    worker: Worker,
    tokenizer: Tokenizer,
    parameters: Parameters,
    prompts: Sequence[tuple[int, ...]],
    usage: TokenCounts,
    client: str = "",
) -> AsyncGenerator[Piece, None]:
    """Every choice piece by piece, as its tokens are made; choice i is of prompt i // n. Counts into `usage`.

    A prompt's choices have the request's seed, the seed + 1, ... With echo a choice begins with its prompt. The end-of-text
    token ends a choice; it is among the scored tokens, but not in the text. Tokens of a stop sequence are among them too.
    """
    stops: tuple[int, ...] = (tokenizer.eot_token,)
    if any(isinstance(prompt, Conversation) for prompt in parameters.prompts) and template_of(tokenizer) is not None:
        stops = stop_tokens(tokenizer)
    sampling = Sampling(parameters.temperature, parameters.top_k, parameters.top_p, parameters.seed, stops)
    asked: Counter[tuple[int, ...]] = Counter()
    rows = []
    for prompt in prompts:
        for _ in range(parameters.n):  # each prompt as if it were alone; one that comes again goes on with other seeds
            own = sampling.for_row(asked[prompt])
            asked[prompt] += 1
            score = parameters.echo and parameters.top is not None
            rows.append(ServedRow(prompt, max(1, parameters.max_tokens), own, parameters.top or 0, score))
    streams = [TextStream(tokenizer, parameters.stops) for _ in rows]
    started = [False] * len(rows)
    starts = [0] * len(rows)  # the length of an echoed prompt
    with worker.submit(rows, client) as batch:
        async for index, new in batch.tokens():
            stream, piece = streams[index], Piece(index)
            if stream.stopped:  # made while the engine had not heard of the stop
                continue
            if not started[index]:
                started[index], piece.prompt = True, rows[index].prompt
            if parameters.echo and not stream.offsets:
                echoed = TextStream(tokenizer)
                piece.text = "".join([*(echoed.add(token) for token in rows[index].prompt), echoed.finish()])
                piece.scored = [rows[index].prompt[0], *(new.prompt or ())]
                piece.offsets = echoed.offsets
                starts[index] = len(piece.text)
            if parameters.max_tokens == 0:
                piece.finish = "length"
                yield piece
                continue
            usage.completion += 1
            piece.scored.append(new)
            piece.tokens.append(new.token)
            piece.offsets.append(starts[index] + len(stream.text))
            if new.token in stops:
                stream.offsets.append(len(stream.text))
            else:
                piece.text += stream.add(new.token)
            if stream.stopped:
                piece.finish = "stop"
                batch.stop(index)
            elif new.finish is not None:
                piece.finish = new.finish
                piece.text += stream.finish()
                if stream.stopped:
                    piece.finish = "stop"
            yield piece


class CompletionForm:
    """/v1/completions."""

    prefix, whole_object, chunk_object = "cmpl", "text_completion", "text_completion"

    def whole(self, piece: Piece, tokenizer: Tokenizer, parameters: Parameters) -> dict[str, Any]:
        logprobs = None
        if parameters.top is not None:
            logprobs = completion_logprobs(tokenizer, piece.scored, piece.offsets)
        ids: dict[str, Any] = {}
        if parameters.token_ids:
            ids = {"token_ids": piece.tokens} | ({"prompt_token_ids": piece.prompt} if piece.prompt else {})
        return {"index": piece.index, "text": piece.text, "logprobs": logprobs, "finish_reason": piece.finish, **ids}

    def opening(self, index: int) -> dict[str, Any] | None:
        return None

    chunk = whole


class ChatForm:
    """/v1/chat/completions."""

    prefix, whole_object, chunk_object = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def whole(self, piece: Piece, tokenizer: Tokenizer, parameters: Parameters) -> dict[str, Any]:
        message = {"role": "assistant", "content": piece.text, "refusal": None}
        return self._choice(piece, tokenizer, parameters, {"message": message})

    def opening(self, index: int) -> dict[str, Any] | None:
        return {"index": index, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}

    def chunk(self, piece: Piece, tokenizer: Tokenizer, parameters: Parameters) -> dict[str, Any]:
        return self._choice(piece, tokenizer, parameters, {"delta": {"content": piece.text} if piece.text else {}})

    def _choice(
        self, piece: Piece, tokenizer: Tokenizer, parameters: Parameters, content: dict[str, Any]
    ) -> dict[str, Any]:
        scored = [one for one in piece.scored if isinstance(one, Scored)]
        logprobs = None if parameters.top is None else chat_logprobs(tokenizer, scored)
        return {"index": piece.index, **content, "logprobs": logprobs, "finish_reason": piece.finish}


Form = CompletionForm | ChatForm


@dataclasses.dataclass
class ServedAnswer:
    """One request's answer, in the making."""

    worker: Worker
    checkpoint: OpenedModel
    parameters: Parameters
    prompts: list[tuple[int, ...]]
    form: Form
    client: str = ""

    def __post_init__(self) -> None:
        self.usage = TokenCounts(sum(map(len, self.prompts)))
        self._head = {"id": f"{self.form.prefix}-{secrets.token_hex(12)}", "created": int(time.time())}

    def _object(self, kind: str, choices: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return {**self._head, "object": kind, "model": self.checkpoint.name, "choices": choices, **more}

    def _pieces(self) -> AsyncGenerator[Piece, None]:
        return pieces(self.worker, self.checkpoint.tokenizer, self.parameters, self.prompts, self.usage, self.client)

    async def whole(self) -> bytes:
        """The answer's JSON, once all of it is made."""
        choices = [Piece(index) for index in range(len(self.prompts) * self.parameters.n)]
        async with contextlib.aclosing(self._pieces()) as made:
            async for piece in made:
                choices[piece.index].extend(piece, with_scores=self.parameters.top is not None)
        return await asyncio.to_thread(self._written, choices)

    def _written(self, choices: list[Piece]) -> bytes:
        """Choice by choice, so that a large answer lets the other threads have Python's lock in between."""
        tokenizer, parameters = self.checkpoint.tokenizer, self.parameters
        written = (json.dumps(self.form.whole(choice, tokenizer, parameters)).encode() for choice in choices)
        whole = self._object(self.form.whole_object, [], usage=self.usage.as_dict())
        before, _, after = json.dumps(whole).encode().partition(b'"choices": []')
        return b'%b"choices": [%b]%b' % (before, b", ".join(written), after)

    async def events(self) -> AsyncGenerator[bytes, None]:
        """The answer as server-sent events, the last of which is [DONE]."""
        parameters, kind = self.parameters, self.form.chunk_object
        nothing = {"usage": None} if parameters.include_usage else {}
        opened: set[int] = set()
        async with contextlib.aclosing(self._pieces()) as made:
            async for piece in made:
                if piece.index not in opened and (opening := self.form.opening(piece.index)) is not None:
                    yield event(self._object(kind, [opening], **nothing))
                opened.add(piece.index)
                if piece.text or piece.finish or parameters.top is not None or parameters.token_ids:
                    written = self.form.chunk(piece, self.checkpoint.tokenizer, parameters)
                    yield event(self._object(kind, [written], **nothing))
        if parameters.include_usage:
            yield event(self._object(kind, [], usage=self.usage.as_dict()))
        yield b"data: [DONE]\n\n"


def event(value: dict[str, Any]) -> bytes:
    """A server-sent event with JSON data; JSON has no line breaks of its own."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"
