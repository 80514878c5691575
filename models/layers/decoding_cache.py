"""The KV cache of decoding: memory that never moves, and lengths that the device counts."""

import contextlib
from collections.abc import Iterator
from typing import Union

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.kernels.ops.attention import attention
from gpt_from_scratch.models.config import GPTConfig
from gpt_from_scratch.models.layers.documents import documents_and_positions
from gpt_from_scratch.models.layers.kv_cache import KVCache

Cache = Union[KVCache, "DecodingCache"]


class DecodingCache:
    """Memory for `slots` rows of at most `capacity` tokens, to which each step adds one token per row.

    Rows come from a `KVCache` that has read their prompts. Token p of a row is at place p modulo the room. The room is
    `capacity`, or the window in a layer that has one: a ring whose newest token replaces the oldest (Jiang et al. 2023,
    Mistral 7B). With `document_mask` a row starts anew at each document. Unused places are finite, as in `KVCache`.

    A step runs the same operations on the same memory whatever the lengths are, so that a CUDA graph can hold it: attention
    gets all places, and the lengths from the device. Only if `sliced`, the default on a CPU, it gets those of the longest row.
    """

    def __init__(
        self,
        config: GPTConfig,
        slots: int,
        capacity: int,
        *,
        device: torch.device,
        dtype: torch.dtype,
        sliced: bool | None = None,
    ) -> None:
        def zeros(layers: int, room: int) -> Tensor:
            return torch.zeros(2, layers, slots, config.kv_heads, room, config.head_size, device=device, dtype=dtype)

        short = [window is not None for window in config.windows]
        self.config, self.slots, self.capacity = config, slots, capacity
        self.sliced = device.type == "cpu" if sliced is None else sliced
        self.whole = zeros(short.count(False), capacity)
        self.short = zeros(short.count(True), min(config.window or capacity, capacity))
        self._layers = [
            tuple((self.short if is_short else self.whole)[:, short[:layer].count(is_short)])
            for layer, is_short in enumerate(short)
        ]
        self._lengths = torch.zeros(slots, dtype=torch.int64, device=device)
        # The last n tokens, for n-grams: the one that `begin` was given and those before it.
        self._recent = torch.full(
            (slots, config.ngram if config.ngram > 1 else 0), -1, dtype=torch.int64, device=device
        )
        self._numbers = torch.arange(slots, device=device)
        self._seen: dict[int, tuple[Int[Tensor, " b"], Int[Tensor, " b"]]] = {}
        self._ragged, self._longest = False, 0
        self.known: list[int] = []
        """Number of tokens in each row by the host's count: at least `lengths`, since the host sees no document begin."""

    @property
    def lengths(self) -> Int[Tensor, " b"]:
        """Number of visible tokens in each row."""
        return self._lengths[: len(self.known)]

    @property
    def longest(self) -> int:
        """Number of tokens in the longest row, by the host's count."""
        return max(self.known, default=0)

    def has_room(self, rows: int, capacity: int) -> bool:
        """Whether `rows` more rows fit, and `capacity` tokens per row."""
        return len(self.known) + rows <= self.slots and capacity <= self.capacity

    def take_over(self, other: "DecodingCache") -> None:
        """Copy the rows of a smaller cache into this one, which is empty.

        A ring has more room here only if it is not full there, so every token keeps its place.
        """
        self.known = list(other.known)
        rows = len(self.known)
        self._lengths[:rows], self._recent[:rows] = other.lengths, other._recent[:rows]
        for mine, theirs in ((self.whole, other.whole), (self.short, other.short)):
            mine[:, :, :rows, :, : theirs.shape[4]] = theirs[:, :, :rows]

    def admit(self, prompts: KVCache) -> None:
        """Append the rows of a cache that has read their prompts."""
        used, rows = len(self.known), len(prompts.known)
        lengths = prompts.lengths
        start = torch.zeros_like(lengths)  # of a row's last document
        if self.config.document_mask:
            inside = documents_and_positions(prompts.tokens[:, : prompts.longest], self.config.eot_token)[1]
            last = (lengths - 1).unsqueeze(1)
            start = (last - inside.gather(1, last)).squeeze(1)
        if self.config.ngram > 1:
            self._recent[used : used + rows] = prompts.before(self.config.ngram)
        lengths = lengths - start
        for layer, memory in enumerate(self._layers):
            room = memory[0].shape[2]
            width = min(room, prompts.longest)
            place = torch.arange(width, device=lengths.device)
            # The document's last token with this place; for shorter rows any token, since the place is masked.
            token = place + (lengths.unsqueeze(1) - 1 - place).div(room, rounding_mode="floor").clamp(min=0) * room
            token = (token + start.unsqueeze(1)).clamp(max=prompts.longest - 1)
            index = token[:, None, :, None].expand(-1, memory[0].shape[1], -1, memory[0].shape[3])
            for x, read in zip(memory, (prompts.keys, prompts.values), strict=True):
                x[used : used + rows, :, :width] = read[layer].gather(2, index)
        self._lengths[used : used + rows] = lengths
        self.known = self.known + prompts.known

    def keep(self, rows: list[int]) -> None:
        """Keep only these rows, in this order. Only rows that change their place are copied."""
        moved = [(old, new) for new, old in enumerate(rows) if old != new]
        if moved:
            old, new = map(list, zip(*moved, strict=True))
            for x in (self._lengths, self._recent):
                x[new] = x[old]
            for x in (self.whole, self.short):
                x[:, :, new, :, : self.longest] = x[:, :, old, :, : self.longest]
        self.known = [self.known[row] for row in rows]

    def begin(self, tokens: Int[Tensor, "b 1"]) -> tuple[Int[Tensor, "b 1"], None]:
        """The positions of the next tokens; a row whose token begins a document drops its earlier tokens.

        Raises:
            ValueError: a row is full.
        """
        if self.longest >= self.capacity:
            raise ValueError(f"the cache has room for {self.capacity} tokens, {self.longest + 1} were given")
        if self._recent.shape[1]:
            recent = self._recent[: len(tokens)]
            recent.copy_(torch.cat([recent[:, 1:], tokens], dim=1))
        if self.config.document_mask:
            self.lengths.masked_fill_(tokens.squeeze(1) == self.config.eot_token, 0)
        self._longest = self.longest
        self._ragged = not self.sliced or self.config.document_mask or len(set(self.known)) > 1
        if self._ragged:
            for room in {memory[0].shape[2] for memory in self._layers}:
                self._seen[room] = self.lengths % room, (self.lengths + 1).clamp(max=room)
        return self.lengths.unsqueeze(1), None

    def attend(
        self,
        layer: int,
        q: Float[Tensor, "b h 1 d"],
        k: Float[Tensor, "b hkv 1 d"],
        v: Float[Tensor, "b hkv 1 d"],
        *,
        documents: Int[Tensor, "b _"] | None,
        window: int | None,
    ) -> Float[Tensor, "b h 1 d"]:
        """Attention of each row's query to its tokens, after the new key and value are stored.

        `documents` and `window` are unused: the cache holds no token that they would hide.
        """
        rows, lengths, held = len(k), None, []
        for memory, new in zip(self._layers[layer], (k, v), strict=True):
            room = memory.shape[2]
            if self._ragged:
                place, lengths = self._seen[room]
                memory[self._numbers[:rows], :, place] = new[:, :, 0].to(memory.dtype)
            else:
                memory[:rows, :, self._longest % room].copy_(new[:, :, 0])
            held.append(memory[:rows, :, : self._longest + 1] if self.sliced else memory[:rows])
        keys, values = held
        seen: Float[Tensor, "b h 1 d"] = attention(q, keys.to(q.dtype), values.to(q.dtype), kv_lengths=lengths)
        return seen

    def before(self, count: int) -> Int[Tensor, "b count"]:
        """The last `count` tokens of each row before the new one, -1 where it has fewer."""
        return self._recent[: len(self.known), -1 - count : -1]

    def advance(self, count: int) -> None:
        """Count the new token in every row, after all layers have stored it."""
        self.lengths.add_(count)
        self.tick()

    def tick(self) -> None:
        """Add one token per row to the host's count; a replayed graph changes only the device's."""
        self.known = [length + 1 for length in self.known]

    @contextlib.contextmanager
    def rehearsal(self) -> Iterator[None]:
        """A trial of the step with the next tokens: its writes are those of the step itself, and the counts are restored."""
        before = self.known, self._lengths.clone(), self._recent.clone()
        try:
            yield
        finally:
            self.known = before[0]
            self._lengths.copy_(before[1])
            self._recent.copy_(before[2])
