"""The log-probability that a model gives to continuations: batched across requests and spread over the ranks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gpt_from_scratch.evals.scoring.choices import BATCH_TOKENS as BATCH_TOKENS
from gpt_from_scratch.kernels.padding import logits
from gpt_from_scratch.models.gpt import GPTConfig
from gpt_from_scratch.tokenizer.protocol import Tokenizer

LOGITS_AT_ONCE = 1 << 25  # numbers, 128 MiB in fp32: so the vocabulary never meets a whole batch


@runtime_checkable
class Scorable(Protocol):
    """Interface of a model that can be scored; `GPT` has it."""

    config: GPTConfig

    @property
    def head_weight(self) -> Float[Tensor, "v c"]: ...

    def hidden(self, tokens: Int[Tensor, "b t"]) -> Float[Tensor, "b t c"]: ...


@dataclass(frozen=True)
class Continuation:
    """Tokens to score, `continuation`, after tokens that are given, `context`. Neither is empty."""

    context: tuple[int, ...]
    continuation: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.context or not self.continuation:
            raise ValueError(
                "a context and a continuation need at least one token each: begin with the end-of-text token"
            )


@dataclass(frozen=True)
class ContinuationScore:
    """The sum of the continuation's log-probabilities in nats, and whether each token was the most likely in its place."""

    logprob: float
    greedy: bool
    tokens: int


@dataclass(frozen=True)
class _Window:
    """One sequence for the model: it reads `tokens[:-1]`, and the last `scored` of `tokens` are predicted."""

    request: int
    tokens: tuple[int, ...]
    scored: int


def loglikelihoods(
    model: Scorable,
    requests: Sequence[Continuation],
    *,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[ContinuationScore]:
    """Score every request, in order.

    The context loses its beginning where both do not fit; the continuation is never cut: one that is longer than
    the model's context is scored in windows, each of which begins one token early. Equal requests are computed once.

    Under torch.distributed every rank must call this with the same requests, computes its share, and gets all scores.
    Batches do not depend on the number of ranks, so neither does any bit of the result; `batch_tokens` (how many tokens
    a forward pass has at most, padding included) changes it by rounding alone.

    progress: called with the batches done and their number.

    Raises:
        ValueError: a token that the model does not have.
    """
    unique = list(dict.fromkeys(requests))
    check_tokens(model, unique)
    size = model.config.block_size
    windows = [window for index, request in enumerate(unique) for window in _windows(index, request, size)]
    batches = list(_batches(windows, batch_tokens))
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    rank, world = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)
    device = model.head_weight.device
    # Sums of log-probabilities, and of tokens that were not the most likely.
    sums = torch.zeros(len(unique), 2, dtype=torch.float64)
    for first in range(0, len(batches), world):
        # Ranks without a batch of their own repeat the last one: under FSDP each forward pass needs them all.
        batch = batches[min(first + rank, len(batches) - 1)]
        logprobs, greedy = _score(model, batch)
        if first + rank < len(batches):
            owners = torch.tensor([window.request for window in batch for _ in range(window.scored)])
            sums.index_add_(0, owners, torch.stack([logprobs.double(), (~greedy).double()], dim=1).cpu())
        progress(min(first + world, len(batches)), len(batches))
    if world > 1:
        shared = sums.to(device if device.type == "cuda" else "cpu")
        torch.distributed.all_reduce(shared)
        sums = shared.cpu()
    scores = {
        request: ContinuationScore(logprob, misses == 0, len(request.continuation))
        for request, (logprob, misses) in zip(unique, sums.tolist(), strict=True)
    }
    return [scores[request] for request in requests]


def _windows(index: int, request: Continuation, size: int) -> Iterator[_Window]:
    """A request as sequences that fit a context of `size`."""
    both = request.context + request.continuation
    count = len(request.continuation)
    if count <= size:
        yield _Window(index, both[-size - 1 :], count)
        return
    start = len(request.context)
    for first in range(start, len(both), size):
        last = min(first + size, len(both))
        yield _Window(index, both[max(0, first - 1) : last], last - first)


def _batches(windows: list[_Window], batch_tokens: int) -> Iterator[list[_Window]]:
    """The longest first, so that rows of a batch are alike and a lack of memory shows at once."""
    batch: list[_Window] = []
    for window in sorted(windows, key=lambda window: (-len(window.tokens), window.request)):
        if batch and (len(batch) + 1) * (len(batch[0].tokens) - 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


@torch.no_grad()
def _score(model: Scorable, batch: list[_Window]) -> tuple[Float[Tensor, " n"], Bool[Tensor, " n"]]:
    """Log-probability of every scored token of the batch, row by row, and whether it was the most likely."""
    device = model.head_weight.device
    longest = len(batch[0].tokens) - 1
    padded = torch.zeros(len(batch), longest, dtype=torch.int64)
    where = torch.zeros(len(batch), longest, dtype=torch.bool)
    for row, window in enumerate(batch):
        length = len(window.tokens) - 1
        padded[row, :length] = torch.tensor(window.tokens[:-1])
        where[row, length - window.scored : length] = True
    targets = torch.tensor([t for window in batch for t in window.tokens[-window.scored :]], device=device)
    hidden = model.hidden(padded.to(device))[where.to(device)]
    logprobs, greedy = [], []
    rows = max(1, LOGITS_AT_ONCE // model.config.vocab_size)
    for some, wanted in zip(hidden.split(rows), targets.split(rows), strict=True):
        scores = logits(some, model.head_weight, model.config.logit_softcap).float()
        own = scores.gather(1, wanted.unsqueeze(1)).squeeze(1)
        logprobs.append(own - scores.logsumexp(-1))
        greedy.append(scores.argmax(-1) == wanted)
    return torch.cat(logprobs), torch.cat(greedy)


def encode_pair(tokenizer: Tokenizer, context: str, continuation: str) -> Continuation:
    """Tokens of context and continuation as lm-eval splits them.

    Both are encoded as one text; spaces at the context's end go to the continuation, since a token often begins with
    one. Without a context the end-of-text token stands in for it. Where one token spans the join, so that none is left
    for the continuation, it is encoded by itself.

    Raises:
        ValueError: an empty continuation.
    """
    stripped = context.rstrip()
    continuation = context[len(stripped) :] + continuation
    if not stripped:
        return Continuation((tokenizer.eot_token,), tuple(tokenizer.encode_ordinary(continuation)))
    given = tokenizer.encode_ordinary(stripped)
    whole = tokenizer.encode_ordinary(stripped + continuation)
    own = whole[len(given) :] or tokenizer.encode_ordinary(continuation)
    return Continuation(tuple(given), tuple(own))


def check_tokens(model: Scorable, requests: Sequence[Continuation]) -> None:
    """Raise ValueError on a token that the model does not have: a lookup would read out of bounds."""
    size = model.config.vocab_size
    for request in requests:
        for tokens in (request.context, request.continuation):
            if min(tokens) < 0 or max(tokens) >= size:
                bad = next(token for token in tokens if not 0 <= token < size)
                raise ValueError(
                    f"token {bad} is not among the model's {size}: do the tokenizer and the model belong together?"
                )
