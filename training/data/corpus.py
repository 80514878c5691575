"""`Corpus`: the data of a run, with its tokenizer, training samples, validation set and judge of generated samples."""

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Integer

from gpt_from_scratch.evals.scoring.bits_per_byte import before_text, counted_bytes
from gpt_from_scratch.tokenizer.files import load_tokenizer
from gpt_from_scratch.tokenizer.protocol import NoEndOfTextError, Tokenizer, id_dtype
from gpt_from_scratch.training.data.loader import TokenData
from gpt_from_scratch.training.data.shards import Index
from gpt_from_scratch.training.data.source import Texts
from gpt_from_scratch.training.data.validation_set import ValidationSet

AT_ONCE = 1 << 20
"""Tokens hashed at a time."""
PYTHON_IS_QUICKER = 16_000_000
"""Characters of stories below which pure Python encodes sooner than numba is imported."""


@dataclass(frozen=True)
class Corpus:
    """Tokenized data of a run."""

    tokenizer: Tokenizer
    train: TokenData
    validation: ValidationSet
    prompt: list[int]
    """The beginning of generated samples."""
    validation_tokens: int
    """Tokens of the validation text except the first, ends of documents included; part of the fingerprint."""
    content: str
    """SHA-256 of all tokens in order, or of the shards' hashes; distinguishes data of equal length."""
    stories: frozenset[str] | None = field(default=None, repr=False)
    """The training texts, if samples can be judged."""
    could_be: Callable[[str], bool] | None = field(default=None, repr=False)
    """Function that says whether the source could have generated a text; None if unknown."""

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Fingerprint of the data. A resumed run must see the same samples as an uninterrupted one."""
        return {
            "tokenizer": self.tokenizer.fingerprint,
            "samples": self.train.n_samples,
            "tokens": self.train.n_targets,
            "validation_tokens": self.validation_tokens,
            "content": self.content,
        }

    def judge(self, text: str) -> tuple[bool, bool] | None:
        """Judge a sample: (could the source have generated it, is it absent from the training text); None if unknown."""
        if self.stories is None or self.could_be is None:
            return None
        return self.could_be(text), text not in self.stories


def of_documents(texts: Texts, block_size: int, tokenizer: Tokenizer) -> Corpus:
    """Corpus of short documents, packed into rows. Each follows an end-of-text token, which is also a target."""
    from gpt_from_scratch.tokenizer.bpe.tokenizer import BytePairEncodingTokenizer

    eot = tokenizer.eot_token
    if isinstance(tokenizer, BytePairEncodingTokenizer) and sum(map(len, texts.train)) < PYTHON_IS_QUICKER:
        tokenizer.backend = "python"
    documents, held_out = _each(texts.train, tokenizer), _each(texts.validation, tokenizer)
    return Corpus(
        tokenizer,
        TokenData.from_documents(documents, block_size, eot_token=eot),
        ValidationSet.of_documents(
            held_out,
            eot,
            sum(len(text.encode()) for text in texts.validation),
            texts.floor_nats() if texts.floor_nats else None,
            block_size=block_size,
        ),
        prompt=[eot],
        validation_tokens=sum(len(document) + 1 for document in held_out),
        content=sha256_of(documents, held_out),
        stories=frozenset(texts.train) if texts.judge else None,
        could_be=texts.judge,
    )


def of_running_text(texts: Texts, block_size: int, tokenizer: Tokenizer) -> Corpus:
    """Corpus of running text: all texts in sequence, cut into windows."""
    tokens = _joined(texts.train, tokenizer)
    held_out, before = _each(texts.validation, tokenizer), before_text(tokenizer)
    prompt = tokenizer.encode_ordinary("\n" if "\n" in texts.train[0] else texts.train[0][0])
    return Corpus(
        tokenizer,
        TokenData.from_tokens(tokens, block_size),
        ValidationSet.of_texts(
            held_out,
            before,
            block_size,
            sum(
                counted_bytes(tokenizer, text, int(ids[0]))
                for text, ids in zip(texts.validation, held_out, strict=True)
            ),
        ),
        prompt=prompt,
        validation_tokens=sum(map(len, held_out)) + len(before) * (len(held_out) - 1) - 1,
        content=sha256_of([tokens], held_out),
    )


def of_shards(index: Index, block_size: int, tokenizer: Tokenizer | None) -> Corpus:
    """Corpus of shards that `prepare` made, cut into windows.

    Raises:
        FileNotFoundError, ValueError: a shard is missing or damaged, or was made with another tokenizer than `tokenizer`.
    """
    if tokenizer is None:
        tokenizer = load_tokenizer(index.folder)
    if tokenizer.fingerprint != index.tokenizer:
        raise ValueError(
            f"the shards in {index.folder} were made with another tokenizer (fingerprint {index.tokenizer[:12]}…, this one has "
            f"{tokenizer.fingerprint[:12]}…): prepare the data again with this tokenizer, or use theirs"
        )
    validation = np.concatenate(index.open("validation"))
    documents, before = documents_of(validation, tokenizer), before_text(tokenizer)
    lengths, special = text_lengths(tokenizer)
    unpredicted = 0 if before else sum(int(lengths[document[0]]) for document in documents)
    return Corpus(
        tokenizer,
        TokenData.from_tokens(index.open("train"), block_size),
        ValidationSet.of_texts(
            documents, before, block_size, int(lengths[validation].sum()) - unpredicted, special=special
        ),
        prompt=list(before) or [int(validation[0])],
        validation_tokens=len(validation) - 1,
        content=index.sha256,
    )


def sha256_of(*texts: Sequence[Integer[np.ndarray, " _"]]) -> str:
    """SHA-256 of tokens and of the borders between texts; the same for every integer type."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)} of {[len(tokens) for tokens in text]}".encode())
        for tokens in text:
            for start in range(0, len(tokens), AT_ONCE):
                digest.update(np.ascontiguousarray(tokens[start : start + AT_ONCE], dtype="<u4").data)
    return digest.hexdigest()


def documents_of(tokens: Integer[np.ndarray, " n"], tokenizer: Tokenizer) -> list[Integer[np.ndarray, " _"]]:
    """Split a stream of tokens into documents at its end-of-text tokens; without such a token it is one document."""
    if not (before := before_text(tokenizer)):
        return [tokens]
    ends = np.flatnonzero(tokens == before[0]).tolist()
    pieces = zip([0, *(end + 1 for end in ends)], [*ends, len(tokens)], strict=True)
    return [tokens[start:stop] for start, stop in pieces if start < stop]


def text_lengths(tokenizer: Tokenizer) -> tuple[Integer[np.ndarray, " n_vocab"], frozenset[int]]:
    """Number of bytes of each id's text, and the special ids, which have no text."""
    special = frozenset(getattr(tokenizer, "special_tokens", {}).values()) | {*before_text(tokenizer)}
    lengths = np.zeros(tokenizer.n_vocab, dtype=np.int64)
    for token in range(tokenizer.n_vocab):
        if token not in special:
            with contextlib.suppress(ValueError):  # an id that the tokenizer does not use occurs in no text
                lengths[token] = len(tokenizer.decode_bytes([token]))
    return lengths, special


def _each(texts: Sequence[str], tokenizer: Tokenizer) -> list[Integer[np.ndarray, " _"]]:
    """Encode each text, in batches if the tokenizer can: for short texts that is several times as fast."""
    together = getattr(tokenizer, "encode_batch", None)
    if together is None:
        return [tokenizer.encode_to_numpy(text) for text in texts]
    return [np.array(ids, dtype=id_dtype(tokenizer.n_vocab)) for ids in together(texts, disallowed_special=())]


def _joined(texts: Sequence[str], tokenizer: Tokenizer) -> Integer[np.ndarray, " n"]:
    """Concatenate the tokens of all texts, separated by end-of-text tokens."""
    pieces = []
    for index, text in enumerate(texts):
        if index:
            with contextlib.suppress(NoEndOfTextError):
                pieces.append(np.array([tokenizer.eot_token]))
        pieces.append(tokenizer.encode_to_numpy(text))
    return np.concatenate(pieces)
