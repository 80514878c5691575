"""Keys and values of the tokens seen so far, so that generation computes each token once; where needed the tokens too.

Layers with a window keep a window of tokens: their memory has room for two, and when it is full the last one moves to its
front, which costs one copy of a token for each that is made. Only a prompt is held whole, until it has been read.
"""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from gpt_from_scratch.models.config import GPTConfig


class Memory:
    """Tensors (layers, slots, h, room, d), in which row b's tokens are at places 0 ... lengths[b] - 1 of slot b.

    What lies beyond is never attended to, but always finite: a masked key still meets the arithmetic, where 0 · NaN and
    inf - inf are NaN. Hence zeros, not unset memory. With a `window` a row may lose tokens that no later one sees.
    """

    def __init__(self, tensors: list[Shaped[Tensor, "_ slots _ _ _"]], window: int | None = None) -> None:
        self.tensors, self.window = tensors, window
        self.count([0] * tensors[0].shape[1])

    def count(self, known: list[int], lengths: Int[Tensor, " b"] | None = None) -> None:
        """Set the rows' lengths, also on the host, because reading them from the device would synchronize."""
        if lengths is None:
            lengths = torch.tensor(known, dtype=torch.int64, device=self.tensors[0].device)
        self.lengths: Int[Tensor, " b"] = lengths
        self.known = known
        self.longest = max(known, default=0)
        self.ragged = len(set(known)) > 1

    def advance(self, count: int) -> None:
        """Count `count` new tokens in every row."""
        self.count([length + count for length in self.known], self.lengths + count)

    def make_room(self, count: int) -> None:
        """Let each row take `count` more tokens: where there is a window, the last ones that it needs move to the front.

        Raises:
            ValueError: there is no room, and no window.
        """
        room, end = self.tensors[0].shape[3], self.longest + count
        if self.window is None:
            if end > room:
                raise ValueError(f"the cache has room for {room} tokens, {end} were given")
        elif end > room or room > 2 * self.window:
            kept = [min(length, self.window - 1) for length in self.known]
            room = max(2 * self.window, max(kept, default=0) + count)
            self.tensors = [_resized(x, len(kept), len(kept), room) for x in self.last(kept)]
            self.count(kept)

    def last(self, kept: list[int]) -> list[Shaped[Tensor, "_ b _ _ _"]]:
        """The last kept[b] tokens of each row, from place 0 on."""
        first = self.lengths - torch.tensor(kept, device=self.lengths.device)
        rows = torch.arange(len(kept), device=first.device).unsqueeze(1)
        places = first.unsqueeze(1) + torch.arange(max(kept, default=0), device=first.device)
        places = places.clamp(max=max(self.longest - 1, 0))
        return [x[:, rows, :, places].permute(2, 0, 3, 1, 4) for x in self.tensors]

    def store(self, memory: Shaped[Tensor, "slots h _ d"], new: Shaped[Tensor, "b h t d"]) -> Shaped[Tensor, "b h _ d"]:
        """Write after each row's tokens; returns the rows' memory."""
        batch, count = new.shape[0], new.shape[2]
        memory = memory[:batch]
        if self.ragged:
            rows = torch.arange(batch, device=new.device).unsqueeze(1)
            columns = self.lengths.unsqueeze(1) + torch.arange(count, device=new.device)
            memory[rows, :, columns] = new.transpose(1, 2).to(memory.dtype)
        else:
            memory[:, :, self.longest : self.longest + count] = new
        return memory

    def keep(self, rows: list[int]) -> None:
        """Keep only these rows, in this order. Only rows that change their place are copied."""
        moved = [(old, new) for new, old in enumerate(rows) if old != new]
        if moved:
            old, new = map(list, zip(*moved, strict=True))
            for x in self.tensors:
                x[:, new, :, : self.longest] = x[:, old, :, : self.longest]
        self.count([self.known[row] for row in rows], self.lengths[rows])


class KVCache:
    """Room for `capacity` tokens a row in every layer that sees them all. Rows may differ in length, and come and go."""

    def __init__(
        self, config: GPTConfig, batch: int, capacity: int, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        def zeros(layers: int, room: int) -> Tensor:
            return torch.zeros(layers, batch, config.kv_heads, room, config.head_size, device=device, dtype=dtype)

        layers = [window is not None for window in config.windows]
        self._remembers = config.ngram > 1 or config.document_mask
        room = capacity if self._remembers else 0
        tokens = torch.zeros((1, batch, 1, room, 1), device=device, dtype=torch.int64)  # laid out as keys are
        self.whole = Memory([*(zeros(layers.count(False), capacity) for _ in "kv"), tokens])
        self.short = Memory([zeros(layers.count(True), 0) for _ in "kv"], config.window) if any(layers) else None
        self._places = [layers[:layer].count(has_window) for layer, has_window in enumerate(layers)]
        self._layers = layers

    @property
    def lengths(self) -> Int[Tensor, " b"]:
        """How many tokens each row has had."""
        return self.whole.lengths

    @property
    def longest(self) -> int:
        """How many tokens the longest row has had."""
        return self.whole.longest

    @property
    def _memories(self) -> list[Memory]:
        return [self.whole] if self.short is None else [self.whole, self.short]

    def begin(self, tokens: Int[Tensor, "b t"]) -> None:
        """Make room for these tokens, before the layers store theirs."""
        for memory in self._memories:
            memory.make_room(tokens.shape[1])
        if self._remembers:
            self.whole.store(self.whole.tensors[2][0], tokens[:, None, :, None])

    def append(
        self,
        layer: int,
        k: Float[Tensor, "b hkv t d"],
        v: Float[Tensor, "b hkv t d"],
        documents: Int[Tensor, "b _"] | None = None,
    ) -> tuple[
        Float[Tensor, "b hkv tk d"],
        Float[Tensor, "b hkv tk d"],
        Int[Tensor, " b"] | None,
        Int[Tensor, "b tk"] | None,
    ]:
        """Store new tokens' keys and values behind each row's own.

        Args:
            documents: the documents of all tokens that the rows have had, the new ones included.

        Returns:
            The keys and values that these tokens may see, with the rows' lengths and the keys' documents. The lengths are None
            where all rows are equally long: the op then needs no mask.
        """
        memory = self.short if self.short is not None and self._layers[layer] else self.whole
        place, start, end = self._places[layer], 0, memory.longest + k.shape[2]
        if memory.window is not None:  # what no row's first new token sees
            start = max(0, min(memory.known) - (memory.window - 1))
        keys, values = (
            memory.store(x[place], new)[:, :, start:end].to(new.dtype)
            for x, new in zip(memory.tensors, (k, v), strict=False)
        )
        if documents is not None and memory.window is not None:
            lost = (self.lengths - memory.lengths + start).unsqueeze(1)
            places = lost + torch.arange(end - start, device=lost.device)
            documents = documents.gather(1, places.clamp(max=documents.shape[1] - 1))
        return keys, values, memory.lengths + (k.shape[2] - start) if memory.ragged else None, documents

    def known(self, count: int) -> Int[Tensor, "b _"]:
        """The tokens of each row, from its first to the `count` that `begin` stored last."""
        return self.whole.tensors[2][0, : len(self.whole.known), 0, : self.longest + count, 0]

    def before(self, count: int) -> Int[Tensor, "b count"]:
        """The last `count` tokens of each row, -1 where it has fewer."""
        places = self.lengths.unsqueeze(1) - torch.arange(count, 0, -1, device=self.lengths.device)
        known = self.whole.tensors[2][0, : len(places), 0, :, 0].gather(1, places.clamp(min=0))
        return torch.where(places >= 0, known, -1)

    def advance(self, count: int) -> None:
        """Count `count` new tokens in every row, once all layers have stored them."""
        for memory in self._memories:
            memory.advance(count)

    def truncate(self, lengths: list[int]) -> None:
        """Forget all but the first lengths[b] tokens of each row: the padding of a ragged prompt, the first tokens of all."""
        for memory in self._memories:
            memory.count(lengths)

    def beside(self, count: int, capacity: int) -> "KVCache":
        """An empty cache of `count` rows in the memory after this one's rows; see `join`.

        The memory grows if needed, in rows or in `capacity` tokens per row.
        """
        used, (_, slots, _, tokens, _) = len(self.whole.known), self.whole.tensors[0].shape
        if used + count > slots or capacity > tokens:
            slots = slots if used + count <= slots else max(used + count, 2 * slots)
            room = max(tokens, capacity)
            rooms = (room, room, room if self._remembers else 0)
            self.whole.tensors = [_resized(x, used, slots, r) for x, r in zip(self.whole.tensors, rooms, strict=True)]
        other = object.__new__(KVCache)
        other._remembers, other._places, other._layers = self._remembers, self._places, self._layers
        other.whole = Memory([x[:, used : used + count] for x in self.whole.tensors])
        other.short = None
        if self.short is not None:  # apart: a prompt needs more room while it is read than its window does later
            empty = [x.new_zeros(x.shape[0], count, x.shape[2], 0, x.shape[4]) for x in self.short.tensors]
            other.short = Memory(empty, self.short.window)
        return other

    def join(self, other: "KVCache") -> None:
        """Add the rows of the cache that `beside` made last."""
        if self.short is not None and other.short is not None:
            other.short.make_room(1)
            used, new = len(self.short.known), other.short.tensors
            slots, room = self.whole.tensors[0].shape[1], max(new[0].shape[3], self.short.tensors[0].shape[3])
            self.short.tensors = [_resized(x, used, slots, room) for x in self.short.tensors]
            for x, rows in zip(self.short.tensors, new, strict=True):
                x[:, used : used + rows.shape[1], :, : rows.shape[3]] = rows
        for memory, joined in zip(self._memories, other._memories, strict=True):
            memory.count(memory.known + joined.known, torch.cat([memory.lengths, joined.lengths]))

    def keep(self, rows: list[int]) -> None:
        """Keep only these rows of the batch, in this order."""
        for memory in self._memories:
            memory.keep(rows)


def _resized(
    x: Shaped[Tensor, "layers _ h _ d"], rows: int, slots: int, room: int
) -> Shaped[Tensor, "layers {slots} h {room} d"]:
    """The first `rows` in a tensor with so many slots, with room for so many tokens each; x itself where it has both."""
    if (x.shape[1], x.shape[3]) == (slots, room):
        return x
    new = x.new_zeros(x.shape[0], slots, x.shape[2], room, x.shape[4])
    new[:, :rows, :, : x.shape[3]] = x[:, :rows]
    return new
