"""Bits per byte: the loss of a model on a text, in a unit that does not depend on its tokenizer.

This is the project's one definition; training's validation (training/data/validation_set.py) is made of the same pieces.

    documents   each is read by itself, after an end-of-text token, which is given and not predicted
    windows     as long as the model's context; the last one reaches back as far as the context allows (`spans`)
    nats        of the tokens of text, each predicted once; special tokens are no text, whether or not they are predicted
    bytes       of exactly those tokens: a tokenizer without an end-of-text token cannot predict a document's first token,
                and then neither its nats nor its bytes count
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpt_from_scratch.evals.scoring.data import read_jsonl, require, take
from gpt_from_scratch.evals.scoring.loglikelihood import BATCH_TOKENS, Continuation, Scorable, loglikelihoods
from gpt_from_scratch.support.storage.text_files import files_below, read_text
from gpt_from_scratch.tokenizer.protocol import NoEndOfTextError, Tokenizer, well_formed

HOW_TO_GET = (
    "Name a text file (UTF-8, one document), a folder of .txt files (each a document), or a .jsonl file whose lines "
    'have a "text".'
)


@dataclass(frozen=True)
class BitsPerByte:
    """The total over all documents, and what it is made of."""

    nats: float
    tokens: int
    bytes: int
    documents: int

    @property
    def value(self) -> float:
        """Bits per byte: nats / (ln 2 · bytes)."""
        return bits(self.nats, self.bytes)

    @property
    def loss(self) -> float:
        """Nats per token, the loss of training."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """exp of the loss."""
        return math.exp(self.loss)


def bits(nats: float, n_bytes: int) -> float:
    """Bits per byte: nats / (ln 2 · bytes)."""
    return nats / (math.log(2) * n_bytes)


def before_text(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Tokens before a document: the end-of-text token, or none if the tokenizer has none."""
    try:
        return (tokenizer.eot_token,)
    except NoEndOfTextError:
        return ()


def counted_bytes(tokenizer: Tokenizer, document: str, first: int | None) -> int:
    """The bytes of a document's tokens that are predicted; `first` is the first of its tokens (None: it has none)."""
    unpredicted = 0 if first is None or before_text(tokenizer) else len(tokenizer.decode_bytes([first]))
    return len(well_formed(document).encode()) - unpredicted


def evaluate_bits_per_byte(
    model: Scorable,
    tokenizer: Tokenizer,
    documents: Sequence[str],
    *,
    stride: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BitsPerByte:
    """Score every token of every document once, as this module defines it.

    stride: how many tokens each window scores. By default a window scores all it reads, as training does; a smaller
        stride gives each token at least (context - stride) tokens before it, and costs context / stride as much.

    Raises:
        ValueError: no text, or a stride outside 1 to the model's context.
    """
    size = model.config.block_size
    stride = size if stride is None else stride
    if not 1 <= stride <= size:
        raise ValueError(f"stride must be from 1 to the model's context of {size}, it is {stride}")
    requests, count = [], 0
    for document in documents:
        tokens = tokenizer.encode_ordinary(document)
        requests += rolling((*before_text(tokenizer), *tokens), size, stride)
        count += counted_bytes(tokenizer, document, tokens[0] if tokens else None)
    if not requests:
        raise ValueError("there is no text to score")
    scores = loglikelihoods(model, requests, batch_tokens=batch_tokens, progress=progress)
    nats = -math.fsum(score.logprob for score in scores)
    return BitsPerByte(nats, sum(score.tokens for score in scores), count, len(documents))


def rolling(tokens: Sequence[int], size: int, stride: int) -> list[Continuation]:
    """Cut tokens so that each but the first is predicted once, in the windows of `spans`."""
    return [
        Continuation(tuple(tokens[start:predicted]), tuple(tokens[predicted:end]))
        for start, predicted, end in spans(len(tokens), size, stride)
    ]


def spans(length: int, size: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """Windows over `length` tokens, as (start, first predicted, end): each token but the first is predicted once.

    The first window predicts up to `size` tokens, the others `stride`; each reaches back as far as the model's context of
    `size` allows.
    """
    predicted = 1
    while predicted < length:
        end = min(length, predicted + (size if predicted == 1 else stride))
        yield max(0, end - 1 - size), predicted, end
        predicted = end


def read_documents(path: Path) -> list[str]:
    """The documents of a text file, a folder of them, or a .jsonl file with a "text" a line.

    Raises:
        FileNotFoundError: nothing there; says what may be there.
        ValueError: a file that is not UTF-8 text, or a line without text.
    """
    require(path, HOW_TO_GET)
    if path.suffix == ".jsonl":
        return [take(row, "text", str, where) for where, row in read_jsonl(path)]
    files = sorted(file for file in files_below(path) if file.suffix.lower() == ".txt") if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(f"no .txt file in {path}. {HOW_TO_GET}")
    return [read_text(file) for file in files]
