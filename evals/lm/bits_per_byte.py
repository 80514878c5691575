"""Bits per byte: how well a model predicts a text, in a unit that does not depend on its tokenizer."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpt_from_scratch.evals.lm.data import read_jsonl, require, take
from gpt_from_scratch.evals.lm.loglikelihood import BATCH_TOKENS, Continuation, Scorable, loglikelihoods
from gpt_from_scratch.tokenizer.protocol import Tokenizer, well_formed

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
        return self.nats / (math.log(2) * self.bytes)

    @property
    def loss(self) -> float:
        """Nats per token, the loss of training."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """exp of the loss."""
        return math.exp(self.loss)


def evaluate_bits_per_byte(
    model: Scorable,
    tokenizer: Tokenizer,
    documents: Sequence[str],
    *,
    stride: int | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BitsPerByte:
    """Score every token of every document once, each document by itself after an end-of-text token.

    stride: how many tokens each window scores. By default a window scores all it reads, as training does; a smaller
        stride gives each token at least (context - stride) tokens before it, and costs context / stride as much.

    Raises:
        ValueError: no text, or a stride outside 1 to the model's context.
    """
    size = model.config.block_size
    stride = size if stride is None else stride
    if not 1 <= stride <= size:
        raise ValueError(f"stride must be from 1 to the model's context of {size}, it is {stride}")
    requests = []
    for document in documents:
        tokens = (tokenizer.eot_token, *tokenizer.encode_ordinary(document))
        requests += rolling(tokens, size, stride)
    count = sum(len(well_formed(document).encode()) for document in documents)
    if not requests:
        raise ValueError("there is no text to score")
    scores = loglikelihoods(model, requests, batch_tokens=batch_tokens, progress=progress)
    nats = -math.fsum(score.logprob for score in scores)
    return BitsPerByte(nats, sum(score.tokens for score in scores), count, len(documents))


def rolling(tokens: Sequence[int], size: int, stride: int) -> list[Continuation]:
    """Cut tokens so that each but the first is predicted once: the first window predicts up to `size`, the others `stride`.

    Each window's context reaches back as far as the model's context of `size` allows.
    """
    windows, predicted = [], 1
    while predicted < len(tokens):
        end = min(len(tokens), predicted + (size if predicted == 1 else stride))
        start = max(0, end - 1 - size)
        windows.append(Continuation(tuple(tokens[start:predicted]), tuple(tokens[predicted:end])))
        predicted = end
    return windows


def read_documents(path: Path) -> list[str]:
    """The documents of a text file, a folder of them, or a .jsonl file with a "text" a line.

    Raises:
        FileNotFoundError: nothing there; says what may be there.
        ValueError: a file that is not UTF-8 text, or a line without text.
    """
    require(path, HOW_TO_GET)
    if path.suffix == ".jsonl":
        return [take(row, "text", str, where) for where, row in read_jsonl(path)]
    files = sorted(path.rglob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(f"no .txt file in {path}. {HOW_TO_GET}")
    texts = []
    for file in files:
        try:
            texts.append(file.read_bytes().decode("utf-8"))
        except UnicodeDecodeError as error:
            raise ValueError(f"{file} is not UTF-8 text: {error}") from error
    return texts
