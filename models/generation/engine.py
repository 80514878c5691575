"""Generation: one batched engine with a KV cache, used by the samples in training, the command line and the server."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.kernels.padding import logits as head_logits
from gpt_from_scratch.models.generation.captured_steps import CapturedSteps
from gpt_from_scratch.models.generation.onednn_weights import FEWEST_ROWS, FEWEST_TOKENS, PackedGPT, can_pack
from gpt_from_scratch.models.generation.sampling import Sampling, row_settings, sample_rows
from gpt_from_scratch.models.generation.scored import Generated, Scored, most_likely, scored
from gpt_from_scratch.models.generation.turns import Owner, WaitingLine
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.models.layers.decoding_cache import DecodingCache
from gpt_from_scratch.models.layers.kv_cache import KVCache

DEFAULT = Sampling()
PREFILL_TOKENS = 8192  # tokens of prompts computed at a time, to limit memory
TURN = 16  # tokens that a row generates before it may have to yield to another owner's row
ROOM = 128  # the cache's capacity is a multiple of this, so that it seldom grows


def generate(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling: Sampling | Sequence[Sampling] = DEFAULT,
    *,
    n_vocab: int | None = None,
    use_cache: bool = True,
) -> list[list[int]]:
    """Continue each prompt by up to `max_new_tokens` tokens; returns a list of new tokens per prompt.

    sampling: one per prompt, or one for all; then row i uses its `for_row(i)`.
    n_vocab: the tokenizer's vocabulary size, as for `Engine`.

    Raises:
        ValueError: an empty prompt, an unknown token, or a wrong number of sampling settings.
    """
    continuations: list[list[int]] = [[] for _ in prompts]
    for new in stream(model, prompts, max_new_tokens, sampling, n_vocab=n_vocab, use_cache=use_cache):
        continuations[new.row].append(new.token)
    return continuations


def stream(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling: Sampling | Sequence[Sampling] = DEFAULT,
    *,
    n_vocab: int | None = None,
    use_cache: bool = True,
) -> Iterator[Generated]:
    """`generate` as an iterator over the tokens."""
    settings = row_settings(sampling, len(prompts))
    check_prompts(model, prompts, n_vocab)
    if max_new_tokens < 1:
        return
    engine = Engine(model, n_vocab=n_vocab, use_cache=use_cache)
    for prompt, setting in zip(prompts, settings, strict=True):
        engine.add(prompt, max_new_tokens, setting)
    while engine.busy:
        yield from engine.step()


@dataclass(eq=False)
class _Row:
    number: int
    tokens: list[int]  # prompt and new tokens, up to the context's length
    left: int  # number of tokens still to generate
    sampling: Sampling
    generator: torch.Generator
    top: int
    score_prompt: bool
    owner: Owner
    turn: int = TURN  # number of tokens left in its turn


class Engine:
    """A batch that rows may join and leave while it runs (continuous batching; Yu et al. 2022, Orca).

    `add` gives a prompt a number, `step` makes one more token for every running row, `remove` abandons a row. At most
    `max_rows` run at once; the others wait. A row's tokens do not depend on other rows. A row that fills the context
    continues with the last half of it and forgets the earlier tokens. The engine is not thread-safe, and the weights must
    not change.

    Owners share the places fairly (see `WaitingLine`): after a turn of TURN tokens a row yields to a row of an owner that
    has had less, and continues later. Its tokens are then computed again, but never more than are generated.
    """

    def __init__(self, model: GPT, *, n_vocab: int | None = None, max_rows: int = 64, use_cache: bool = True) -> None:
        """
        Args:
            n_vocab: the tokenizer's ids. A model may have more (its vocabulary rounded up for speed): they are never
                generated, and probabilities are normalized over the tokenizer's ids. None: all of the model's.
        """
        if max_rows < 1:
            raise ValueError(f"max_rows must be at least 1, it is {max_rows}")
        self.n_vocab = n_vocab
        self.model = model
        self.max_rows = max_rows
        self.use_cache = use_cache
        self._waiting: WaitingLine[_Row] = WaitingLine()
        self._spare = PREFILL_TOKENS  # number of tokens that may be recomputed now
        self._running: list[_Row] = []  # row i has slot i of the cache
        self._cache: DecodingCache | None = None
        self._captured: CapturedSteps | None = None
        self._can_pack = can_pack(model)
        self._packed: PackedGPT | None = None
        self._count = 0

    @property
    def busy(self) -> bool:
        """Whether any row is unfinished."""
        return bool(self._running or self._waiting)

    def add(
        self,
        prompt: Sequence[int],
        max_new_tokens: int,
        sampling: Sampling = DEFAULT,
        *,
        top: int = 0,
        score_prompt: bool = False,
        owner: Owner = (),
    ) -> int:
        """Add a prompt to the queue; returns its number: 0, 1, 2, ...

        owner: the owner for fair sharing; rows of one owner are served in order.
        top: number of most likely tokens to report with each token.
        score_prompt: also report the log-probabilities of the prompt's tokens; it must then fit the context.

        Raises:
            ValueError: an empty prompt, a token that the model does not have, or a length below 1.
        """
        context = self.model.config.block_size
        check_prompts(self.model, [prompt], self.n_vocab)
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, it is {max_new_tokens}")
        if score_prompt and len(prompt) > context:
            raise ValueError(f"a prompt of {len(prompt)} tokens cannot be scored in a context of {context}")
        generator = sampling.generator()
        tokens = list(prompt)[-context:]
        row = _Row(self._count, tokens, max_new_tokens, sampling, generator, top, score_prompt, owner)
        self._waiting.join(owner, row)
        self._count += 1
        return row.number

    @torch.inference_mode()
    def remove(self, *numbers: int) -> None:
        """Remove rows; finished rows are ignored."""
        gone = set(numbers)
        self._waiting.drop(lambda row: row.number in gone)
        for row in self._running:
            if row.number in gone:
                self._waiting.leave(row.owner)
        self._keep([row for row in self._running if row.number not in gone])

    @torch.inference_mode()
    def step(self) -> list[Generated]:
        """Start waiting rows in free slots, then generate one token for every running row."""
        context = self.model.config.block_size
        new = self._changed_places()
        again = [row for row in self._running if len(row.tokens) > context or not self.use_cache]
        self._keep([row for row in self._running if row not in again])
        new = again + new + self._admitted(self.max_rows - len(self._running) - len(again) - len(new))
        logits = [self._decode()] if self._running else []
        for row in new:
            if len(row.tokens) > context:
                row.tokens = row.tokens[-max(1, context // 2) :]
        scores: dict[int, tuple[Scored, ...]] = {}
        for group in _groups(new):
            logits.append(self._prefill(group, scores))
            self._running += group
        if not logits:
            return []
        return self._choose(logits[0] if len(logits) == 1 else torch.cat(logits), scores)

    def _changed_places(self) -> list[_Row]:
        """At the end of its turn, let a row pay for another turn or yield; returns the rows that replace others."""
        most = max(PREFILL_TOKENS, self.model.config.block_size)  # enough for any row
        self._spare = min(self._spare + len(self._running), most)
        if not self._waiting:  # then turns cost nothing
            return []
        coming, going = [], set()
        ended = [row for row in self._running if row.turn <= 0]
        for row in sorted(ended, key=lambda row: self._waiting.paid(row.owner), reverse=True):
            if not self._waiting.precedes(row.owner):
                self._waiting.pay(row.owner)
                row.turn = TURN
            elif (cost := len(row.tokens)) <= self._spare:
                self._spare -= cost
                coming.append(self._taken())
                self._waiting.put_back(row.owner, row)
                going.add(row.number)
        self._keep([row for row in self._running if row.number not in going])
        return coming

    def _admitted(self, places: int) -> list[_Row]:
        """The next waiting rows to start, limited so that running rows are not delayed for long."""
        coming: list[_Row] = []
        tokens = 0
        while self._waiting and len(coming) < places and tokens < PREFILL_TOKENS:
            coming.append(self._taken())
            tokens += len(coming[-1].tokens)
        return coming

    def _taken(self) -> _Row:
        row = self._waiting.take()
        row.turn = TURN
        return row

    def _prefill(self, rows: list[_Row], scores: dict[int, tuple[Scored, ...]]) -> Float[Tensor, "b v"]:
        """Run whole sequences, padded at the end, into the cache; returns the logits after each one's last token."""
        model, device = self.model, self.model.wte.weight.device
        lengths = [len(row.tokens) for row in rows]
        padded = torch.zeros(len(rows), max(lengths), dtype=torch.int64)
        for index, row in enumerate(rows):
            padded[index, : lengths[index]] = torch.tensor(row.tokens)
        autocast = torch.is_autocast_enabled(device.type)
        dtype = torch.get_autocast_dtype(device.type) if autocast else model.wte.weight.dtype
        cache = KVCache(model.config, len(rows), max(lengths), device=device, dtype=dtype)
        hidden = model.hidden(padded.to(device), cache)
        cache.truncate(lengths)
        self._with_room(len(rows), self._capacity(rows), device, dtype).admit(cache)
        for index, row in enumerate(rows):
            if row.score_prompt:
                scores[row.number] = tuple(
                    scored(self._logits(hidden[index, : lengths[index] - 1]), row.tokens[1:], row.top)
                )
                row.score_prompt = False
        last = hidden[torch.arange(len(rows), device=device), cache.lengths - 1]
        return self._logits(last)

    def _logits(self, hidden: Float[Tensor, "n c"]) -> Float[Tensor, "n v"]:
        scores = head_logits(hidden, self.model.head_weight, self.model.config.logit_softcap)
        return scores[:, : self.n_vocab].float()

    def _with_room(self, rows: int, capacity: int, device: torch.device, dtype: torch.dtype) -> DecodingCache:
        """The cache, a larger one where so many more rows, or tokens a row, do not fit it."""
        old = self._cache
        if old is not None and old.has_room(rows, capacity):
            return old
        slots, longest = (0, 0) if old is None else (old.slots, old.capacity)
        used = len(self._running)
        slots = slots if used + rows <= slots else max(used + rows, 2 * slots)
        self._cache = DecodingCache(self.model.config, slots, max(capacity, longest), device=device, dtype=dtype)
        if old is not None:
            self._cache.take_over(old)
        self._captured = CapturedSteps(self._step, self._cache) if device.type == "cuda" else None
        return self._cache

    def _capacity(self, rows: list[_Row]) -> int:
        """Required capacity of the cache, in tokens per row; on a GPU the context, since graphs end with their memory."""
        if self.model.wte.weight.is_cuda:
            return self.model.config.block_size
        most = max(len(row.tokens) + row.left for row in rows)
        return min(-(-most // ROOM) * ROOM, self.model.config.block_size)

    def _decode(self) -> Float[Tensor, "b v"]:
        """The logits after one more token in every running row."""
        column = torch.tensor([row.tokens[-1:] for row in self._running], device=self.model.wte.weight.device)
        assert self._cache is not None
        if self._captured is not None and not torch.is_autocast_enabled("cuda"):  # its casts would outlive the weights
            return self._captured(column)
        return self._step(column, self._cache)

    def _step(self, column: Int[Tensor, "b 1"], cache: DecodingCache) -> Float[Tensor, "b v"]:
        if (packed := self._packed_model()) is not None:
            return packed.logits(column, cache)[:, : self.n_vocab].float()
        return self._logits(self.model.hidden(column, cache)[:, -1])

    def _packed_model(self) -> PackedGPT | None:
        """The packed model if it is faster; it is made once enough tokens were generated."""
        if not self._can_pack or torch.is_autocast_enabled("cpu"):
            return None
        if len(self._running) < FEWEST_ROWS[self.model.wte.weight.dtype]:
            return None
        if self._packed is None and max(row.left for row in self._running) >= FEWEST_TOKENS:
            self._packed = PackedGPT(self.model)
        return self._packed

    def _choose(self, logits: Float[Tensor, "b v"], scores: dict[int, tuple[Scored, ...]]) -> list[Generated]:
        """Choose each running row's token, and remove finished rows."""
        rows = self._running
        tokens, logprobs = sample_rows(logits, [row.sampling for row in rows], [row.generator for row in rows])
        tops: list[tuple[tuple[int, float], ...]] = [()] * len(rows)
        if (most := max(row.top for row in rows)) > 0:
            best = most_likely(torch.log_softmax(logits, dim=-1), most)
            tops = [top[: row.top] for top, row in zip(best, rows, strict=True)]
        made, going = [], []
        for row, token, logprob, top in zip(rows, tokens, logprobs, tops, strict=True):
            row.tokens.append(token)
            row.left -= 1
            row.turn -= 1
            finish: Literal["stop", "length"] | None = None
            if token in row.sampling.stop_tokens:
                finish = "stop"
            elif row.left == 0:
                finish = "length"
            if finish is None:
                going.append(row)
            else:
                self._waiting.leave(row.owner)
            prompt = scores.get(row.number)
            made.append(Generated(token, logprob, top, row=row.number, finish=finish, prompt=prompt))
        self._keep(going)
        return made

    def _keep(self, going: list[_Row]) -> None:
        """Keep only these rows; the last rows move into the free slots."""
        if len(going) == len(self._running) or self._cache is None:
            self._running = going
            return
        places = {id(row): index for index, row in enumerate(self._running)}
        kept = [places[id(row)] for row in going]
        stay = {index for index in kept if index < len(kept)}
        movers = iter(sorted(index for index in kept if index >= len(kept)))
        order = [index if index in stay else next(movers) for index in range(len(kept))]
        self._cache.keep(order)
        self._running = [self._running[index] for index in order]


def _groups(rows: list[_Row]) -> Iterator[list[_Row]]:
    """Cut `rows`, by length, into groups of at most PREFILL_TOKENS tokens, padding included, or of one row."""
    group: list[_Row] = []
    for row in sorted(rows, key=lambda row: len(row.tokens)):
        if group and len(row.tokens) * (len(group) + 1) > PREFILL_TOKENS:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def check_prompts(model: GPT, prompts: Sequence[Sequence[int]], n_vocab: int | None = None) -> None:
    """Raise ValueError on an empty prompt or a token outside the model's vocabulary, or the tokenizer's (`n_vocab`)."""
    size = model.config.vocab_size if n_vocab is None else min(n_vocab, model.config.vocab_size)
    for index, prompt in enumerate(prompts):
        if not prompt:
            raise ValueError(f"prompt {index} is empty: begin with the tokenizer's end-of-text token")
        if (bad := next((t for t in prompt if not 0 <= t < size), None)) is not None:
            whose = "model" if n_vocab is None else "tokenizer"
            raise ValueError(f"prompt {index} has token {bad}, the {whose} has tokens 0 to {size - 1}")
