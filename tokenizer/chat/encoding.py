"""Encoding of conversations: their tokens, and which of them the assistant wrote.

The text is split where an answer begins and where it ends, and each piece is encoded separately. So no token crosses a border,
and the tokens before an answer equal the prompt that the model gets in a chat.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gpt_from_scratch.tokenizer.chat.template import (
    OF_PLAIN_TEXT,
    Message,
    TemplateError,
    render,
    special_tokens,
    template_of,
)
from gpt_from_scratch.tokenizer.protocol import NoEndOfTextError, Tokenizer

ROLES = ("system", "user", "assistant")


class Piece(NamedTuple):
    """A piece of a conversation's text."""

    text: str
    is_answer: bool


class Encoded(NamedTuple):
    """A conversation's tokens, and of each whether the assistant wrote it."""

    tokens: list[int]
    is_answer: list[bool]


def check_messages(messages: object) -> list[Message]:
    """Validation of messages that were read; returns the role and the content of each.

    Raises:
        ValueError: not a list of messages with a known role and a text; the message is named by its number.
    """
    if not isinstance(messages, list) or not messages:
        raise ValueError("messages must be a list of at least one message")
    for number, message in enumerate(messages):
        if not isinstance(message, Mapping) or message.get("role") not in ROLES:
            raise ValueError(f"message {number} needs a role: {', '.join(ROLES)}")
        if not isinstance(message.get("content"), str):
            raise ValueError(f"message {number} needs a content, a text")
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def pieces(tokenizer: Tokenizer, messages: Sequence[Message], *, asks: bool = False) -> list[Piece]:
    """The text of a conversation, split where answers begin and end; the pieces together are what the template renders.

    An answer includes the special token after it, which the model must learn to write. If the template has none, it includes
    what the template writes before the next message.

    Args:
        asks: end with the beginning of the next answer, as a prompt does.

    Raises:
        ValueError: a message contains the text of a special token, or the template rewrites earlier turns.
    """
    template, special = template_of(tokenizer) or OF_PLAIN_TEXT, special_tokens(tokenizer)
    end = _end_of_text(tokenizer)
    for message in messages:
        if found := next((name for name in special if name in message["content"]), None):
            raise ValueError(f"a message holds {found}, the text of a special token: take it out")
    whole = render(template, messages, end, asks=asks)
    result, place = [], 0
    for number, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        before = render(template, messages[:number], end, asks=True)
        after = render(template, messages[: number + 1], end, asks=False)
        if not after.startswith(before) or not whole.startswith(after) or len(before) < place:
            raise TemplateError(
                "the chat template writes an earlier answer otherwise once more follows, so which tokens are the assistant's "
                "cannot be told"
            )
        stop = max(
            (after.rfind(name) + len(name) for name in special if after.rfind(name) >= len(before)), default=None
        )
        stop = len(after) if stop is None else stop
        result += [Piece(whole[place : len(before)], False), Piece(whole[len(before) : stop], True)]
        place = stop
    return [piece for piece in [*result, Piece(whole[place:], False)] if piece.text]


def encode(tokenizer: Tokenizer, messages: Sequence[Message], *, asks: bool = False) -> Encoded:
    """The tokens of a conversation.

    Raises:
        ValueError: as `pieces`.
    """
    tokens: list[int] = []
    is_answer: list[bool] = []
    for piece in pieces(tokenizer, messages, asks=asks):
        new = _with_special(tokenizer, piece.text)
        tokens += new
        is_answer += [piece.is_answer] * len(new)
    return Encoded(tokens, is_answer)


def stop_tokens(tokenizer: Tokenizer) -> tuple[int, ...]:
    """The tokens that end an answer: the end-of-text token, and the one that the template puts there."""
    stops = [special_tokens(tokenizer)[end]] if (end := _end_of_text(tokenizer)) else []
    probe = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    last = next(token for token, answer in reversed(list(zip(*encode(tokenizer, probe), strict=True))) if answer)
    return tuple(dict.fromkeys([*stops, *([last] if last in special_tokens(tokenizer).values() else [])]))


def _end_of_text(tokenizer: Tokenizer) -> str:
    try:
        end = tokenizer.eot_token
    except NoEndOfTextError:
        return ""
    return next(name for name, index in special_tokens(tokenizer).items() if index == end)


def _with_special(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text in which special tokens are themselves."""
    special = special_tokens(tokenizer)
    names = "|".join(map(re.escape, sorted(special, key=len, reverse=True)))
    parts = re.split(f"({names})", text) if names else [text]
    ids: list[int] = []
    for part in parts:
        ids += [special[part]] if part in special else tokenizer.encode_ordinary(part) if part else []
    return ids
