"""Generation: one batched engine with a KV cache, used by the samples in training, the command line and the server."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.models.cache import KVCache
from gpt_from_scratch.models.gpt import GPT


@dataclass(frozen=True)
class Sampling:
    """How to choose the next token.

    Attributes:
        temperature: divides the logits; 0 always takes the most likely token.
        top_k: keep only the k most likely tokens.
        top_p: keep the smallest set of most likely tokens whose probability reaches p (Holtzman et al. 2020).
        seed: makes a row's tokens repeatable, whatever the other rows of its batch are.
        stop_tokens: a row ends when it makes one of these; the stop token is the last of its tokens.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0
    stop_tokens: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ValueError(f"temperature must be at least 0, it is {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, it is {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, it is {self.top_p}")


@dataclass(frozen=True)
class Generated:
    """One new token: the row of the batch, the token, and its log-probability under the unmodified model."""

    row: int
    token: int
    logprob: float


def generate(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling: Sampling | Sequence[Sampling] = Sampling(),
    *,
    use_cache: bool = True,
) -> list[list[int]]:
    """Continue each prompt by up to `max_new_tokens` tokens; returns the new tokens alone, one list a prompt.

    Raises:
        ValueError: an empty prompt, a token that the model does not have, or sampling settings of the wrong number.
    """
    continuations: list[list[int]] = [[] for _ in prompts]
    for new in stream(model, prompts, max_new_tokens, sampling, use_cache=use_cache):
        continuations[new.row].append(new.token)
    return continuations


def stream(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling: Sampling | Sequence[Sampling] = Sampling(),
    *,
    use_cache: bool = True,
) -> Iterator[Generated]:
    """`generate`, token by token as they are made. Finished rows leave the batch.

    A row that fills the context goes on with the last half of it: the earlier tokens are forgotten.
    """
    settings = [sampling] * len(prompts) if isinstance(sampling, Sampling) else list(sampling)
    if len(settings) != len(prompts):
        raise ValueError(f"{len(settings)} sampling settings for {len(prompts)} prompts: give one, or one each")
    check_prompts(model, prompts)
    generators = [torch.Generator().manual_seed(s.seed) for s in settings]
    context = model.config.block_size
    sequences = [list(prompt)[-context:] for prompt in prompts]
    rows = list(range(len(prompts)))  # those still running, by their place in `prompts`
    cache: KVCache | None = None
    for _ in range(max_new_tokens):
        if not rows:
            return
        running = [sequences[row] for row in rows]
        if max(map(len, running)) > context or cache is None or not use_cache:
            if max(map(len, running)) > context:
                for row in rows:
                    sequences[row] = sequences[row][-max(1, context // 2) :]
                running = [sequences[row] for row in rows]
            cache, logits = _prefill(model, running)
        else:
            logits = _decode(model, [tokens[-1] for tokens in running], cache)
        going = []
        for index, row in enumerate(rows):
            token, logprob = sample(logits[index], settings[row], generators[row])
            sequences[row].append(token)
            yield Generated(row, token, logprob)
            if token not in settings[row].stop_tokens:
                going.append(index)
        if len(going) < len(rows):
            rows = [rows[index] for index in going]
            cache.keep(going)


# inference_mode stands around whole steps: around a yield it would leak into the caller's code.
@torch.inference_mode()
def _prefill(model: GPT, sequences: list[list[int]]) -> tuple[KVCache, Float[Tensor, "b v"]]:
    """Run whole sequences, padded at the end, into a new cache; returns the logits after each one's last token."""
    device = model.wte.weight.device
    lengths = [len(tokens) for tokens in sequences]
    padded = torch.zeros(len(sequences), max(lengths), dtype=torch.int64)
    for index, tokens in enumerate(sequences):
        padded[index, : len(tokens)] = torch.tensor(tokens)
    dtype = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else model.wte.weight.dtype
    cache = KVCache(model.config, len(sequences), model.config.block_size, device=device, dtype=dtype)
    hidden = model.hidden(padded.to(device), cache)
    cache.truncate(lengths)
    last = hidden[torch.arange(len(sequences), device=device), cache.lengths - 1]
    return cache, torch.nn.functional.linear(last, model.head_weight).float().cpu()


@torch.inference_mode()
def _decode(model: GPT, tokens: list[int], cache: KVCache) -> Float[Tensor, "b v"]:
    """The logits after one more token in every row."""
    column = torch.tensor(tokens, device=model.wte.weight.device).unsqueeze(1)
    logits: Tensor = model(column, cache=cache)
    return logits[:, -1].float().cpu()


def sample(logits: Float[Tensor, " v"], sampling: Sampling, generator: torch.Generator) -> tuple[int, float]:
    """Choose a token; returns it with its log-probability under the unmodified logits."""
    logprobs = torch.log_softmax(logits, dim=-1)
    if sampling.temperature == 0:
        token = int(logits.argmax())
    else:
        probabilities = torch.softmax(filtered(logits / sampling.temperature, sampling.top_k, sampling.top_p), dim=-1)
        token = int(torch.multinomial(probabilities, 1, generator=generator))
    return token, float(logprobs[token])


def filtered(logits: Float[Tensor, " v"], top_k: int | None, top_p: float | None) -> Float[Tensor, " v"]:
    """-inf for the logits that top-k, then top-p, take out. The most likely token always stays."""
    if top_k is not None and top_k < len(logits):
        kth = logits.topk(top_k).values[-1]
        logits = logits.masked_fill(logits < kth, float("-inf"))
    if top_p is not None and top_p < 1:
        ordered, order = logits.sort(descending=True)
        before = torch.softmax(ordered, dim=-1).cumsum(-1).roll(1)
        before[0] = 0
        logits = logits.index_fill(0, order[before >= top_p], float("-inf"))
    return logits


def check_prompts(model: GPT, prompts: Sequence[Sequence[int]]) -> None:
    """Raise ValueError on an empty prompt or a token outside the model's vocabulary."""
    for index, prompt in enumerate(prompts):
        if not prompt:
            raise ValueError(f"prompt {index} is empty: begin with the tokenizer's end-of-text token")
        if (bad := next((t for t in prompt if not 0 <= t < model.config.vocab_size), None)) is not None:
            raise ValueError(f"prompt {index} has token {bad}, the model has tokens 0 to {model.config.vocab_size - 1}")
