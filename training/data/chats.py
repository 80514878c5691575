"""The corpus of conversations: rows of whole conversations, whose only targets are the assistant's tokens."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gpt_from_scratch.tokenizer.chat.encoding import Encoded, encode, stop_tokens
from gpt_from_scratch.tokenizer.chat.template import OF_PLAIN_TEXT, Message, template_of
from gpt_from_scratch.tokenizer.formats.hugging_face_folder import tokenizer_json
from gpt_from_scratch.tokenizer.hugging_face_wrapper import HuggingFaceTokenizer
from gpt_from_scratch.tokenizer.protocol import Tokenizer, id_dtype
from gpt_from_scratch.training.data.corpus import Corpus, sha256_of
from gpt_from_scratch.training.data.loader import TokenData
from gpt_from_scratch.training.data.source import Conversations, Texts
from gpt_from_scratch.training.data.validation_set import Row, ValidationSet


class Question(NamedTuple):
    """A conversation up to an answer, and that answer."""

    tokens: list[int]
    messages: list[Message]
    answer: str


def as_texts(conversations: Conversations) -> Texts:
    """The messages as texts, from which a tokenizer is learned."""
    train, validation = (
        [message["content"] for messages in part for message in messages]
        for part in (conversations.train, conversations.validation)
    )
    return Texts(train, validation)


def with_template(tokenizer: Tokenizer) -> Tokenizer:
    """A tokenizer of equal ids with a chat template: the tokenizer itself if it has one, else one with a plain template.

    Raises:
        ValueError: this kind of tokenizer cannot have a template.
        RuntimeError: Hugging Face's tokenizers are not installed.
    """
    if template_of(tokenizer) is not None:
        return tokenizer
    end = tokenizer.decode([tokenizer.eot_token])
    try:
        return HuggingFaceTokenizer(tokenizer_json(tokenizer), end, OF_PLAIN_TEXT)
    except ValueError as error:
        raise ValueError(
            f"{tokenizer!r} cannot have a chat template ({error}): take --data.tokenizer bpe, or one that has a template"
        ) from error


def of_conversations(conversations: Conversations, block_size: int, tokenizer: Tokenizer) -> Corpus:
    """Corpus of whole conversations, packed into rows, each after an end-of-text token.

    Raises:
        ValueError: a conversation that the chat template refuses, by its number.
    """
    tokenizer = with_template(tokenizer)
    train, held_out = (_encoded(part, tokenizer) for part in (conversations.train, conversations.validation))
    documents, scored = (
        [np.array(one.tokens, dtype=id_dtype(tokenizer.n_vocab)) for one in train],
        [np.array(one.is_answer, dtype=bool) for one in train],
    )
    rows = [row for one in held_out for row in answers_of(one, tokenizer.eot_token, block_size)]
    stops = stop_tokens(tokenizer)
    validated = [np.array(one.tokens, dtype=np.int64) for one in held_out]
    return Corpus(
        tokenizer,
        TokenData.from_conversations(documents, scored, block_size, eot_token=tokenizer.eot_token),
        ValidationSet(rows, _text_bytes(held_out, tokenizer, stops), special=stops),
        prompt=[tokenizer.eot_token],
        validation_tokens=sum(map(len, validated)),
        content=sha256_of(documents, [one.astype(np.int64) for one in scored], validated),
    )


def answers_of(conversation: Encoded, eot_token: int, block_size: int) -> list[Row]:
    """Validation rows, one per answer: the conversation before it, as far as the context allows, and the answer as targets."""
    tokens = np.array([eot_token, *conversation.tokens], dtype=np.int64)
    edges = np.flatnonzero(np.diff([False, False, *conversation.is_answer, False]))
    rows: list[Row] = []
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        first = max(0, stop - block_size - 1)
        rows.append((tokens[first:stop], min(stop - start, stop - first - 1)))
    return rows


def questions_of(messages: Sequence[Message], tokenizer: Tokenizer) -> list[Question]:
    """The questions of a conversation: for each answer, everything that was said before it."""
    return [
        Question(
            [tokenizer.eot_token, *encode(tokenizer, messages[:place], asks=True).tokens],
            list(messages[:place]),
            message["content"],
        )
        for place, message in enumerate(messages)
        if message["role"] == "assistant"
    ]


def _encoded(conversations: Sequence[list[Message]], tokenizer: Tokenizer) -> list[Encoded]:
    result = []
    for number, messages in enumerate(conversations):
        try:
            result.append(encode(tokenizer, messages))
        except ValueError as error:
            raise ValueError(f"conversation {number}: {error}") from error
    return result


def _text_bytes(conversations: Sequence[Encoded], tokenizer: Tokenizer, stops: Sequence[int]) -> int:
    """The bytes of all answers."""
    return sum(
        len(
            tokenizer.decode_bytes([token for token, answer in zip(*one, strict=True) if answer and token not in stops])
        )
        for one in conversations
    )
