"""Keys and values of the tokens seen so far, so that generation computes each token once; for n-grams the tokens too."""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from gpt_from_scratch.models.config import GPTConfig


class KVCache:
    """Room for `capacity` tokens a row in every layer. Rows may have different lengths, and come and go.

    Row b's tokens lie at positions 0 ... lengths[b] - 1 of slot b. What lies beyond is never attended to, but always
    finite: a masked key still meets the arithmetic, where 0 · NaN and inf - inf are NaN. Hence zeros, not unset memory.
    """

    _MEMORIES = ("keys", "values", "tokens")

    def __init__(
        self, config: GPTConfig, batch: int, capacity: int, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        shape = (config.n_layer, batch, config.kv_heads, capacity, config.head_size)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self._ngrams = config.ngram > 1
        room = capacity if self._ngrams else 0
        self.tokens = torch.zeros((1, batch, 1, room, 1), device=device, dtype=torch.int64)  # laid out as keys are
        self._count(torch.zeros(batch, dtype=torch.int64, device=device), [0] * batch)

    def _count(self, lengths: Int[Tensor, " b"], known: list[int]) -> None:
        """Set the rows' lengths, which the host knows too: reading them from the device would wait for it."""
        self.lengths: Int[Tensor, " b"] = lengths
        self._known = known
        self.longest = max(known, default=0)
        self.ragged = len(set(known)) > 1

    def append(
        self, layer: int, k: Float[Tensor, "b hkv t d"], v: Float[Tensor, "b hkv t d"]
    ) -> tuple[Float[Tensor, "b hkv tk d"], Float[Tensor, "b hkv tk d"], Int[Tensor, " b"] | None]:
        """Store new tokens' keys and values behind each row's own; returns all keys, all values and the rows' lengths.

        The lengths are None where all rows are equally long: the op then needs no mask.
        """
        end = self.longest + k.shape[2]
        if end > self.keys.shape[3]:
            raise ValueError(f"the cache has room for {self.keys.shape[3]} tokens, {end} were given")
        keys, values = self._store(self.keys[layer], k), self._store(self.values[layer], v)
        lengths = self.lengths + k.shape[2] if self.ragged else None
        return keys[:, :, :end].to(k.dtype), values[:, :, :end].to(v.dtype), lengths

    def _store(
        self, memory: Shaped[Tensor, "slots h _ d"], new: Shaped[Tensor, "b h t d"]
    ) -> Shaped[Tensor, "b h _ d"]:
        """Write behind each row's own tokens; returns the rows' memory."""
        batch, count = new.shape[0], new.shape[2]
        memory = memory[:batch]
        if self.ragged:
            rows = torch.arange(batch, device=new.device).unsqueeze(1)
            columns = self.lengths.unsqueeze(1) + torch.arange(count, device=new.device)
            memory[rows, :, columns] = new.transpose(1, 2).to(memory.dtype)
        else:
            memory[:, :, self.longest : self.longest + count] = new
        return memory

    def remember(self, tokens: Int[Tensor, "b t"]) -> None:
        """Store the tokens themselves, before `advance` counts them."""
        self._store(self.tokens[0], tokens[:, None, :, None])

    def before(self, count: int) -> Int[Tensor, "b count"]:
        """The last `count` tokens of each row, -1 where it has fewer."""
        places = self.lengths.unsqueeze(1) - torch.arange(count, 0, -1, device=self.lengths.device)
        known = self.tokens[0, : len(places), 0, :, 0].gather(1, places.clamp(min=0))
        return torch.where(places >= 0, known, -1)

    def advance(self, count: int) -> None:
        """Count `count` new tokens in every row, once all layers have stored them."""
        self._count(self.lengths + count, [length + count for length in self._known])

    def truncate(self, lengths: list[int]) -> None:
        """Forget all but the first lengths[b] tokens of each row: the padding of a ragged prompt."""
        self._count(torch.tensor(lengths, dtype=torch.int64, device=self.lengths.device), lengths)

    def beside(self, count: int, capacity: int) -> "KVCache":
        """An empty cache of `count` rows in the memory behind this one's rows; see `join`.

        The memory grows if it must, to so many rows or to `capacity` tokens a row.
        """
        used, slots, tokens = len(self._known), self.keys.shape[1], self.keys.shape[3]
        if used + count > slots or capacity > tokens:
            slots = slots if used + count <= slots else max(used + count, 2 * slots)
            for name in self._MEMORIES:
                old: Tensor = getattr(self, name)
                room = max(tokens, capacity) if name != "tokens" or self._ngrams else 0
                new = old.new_zeros(old.shape[0], slots, old.shape[2], room, old.shape[4])
                new[:, :used, :, : old.shape[3]] = old[:, :used]
                setattr(self, name, new)
        other = object.__new__(KVCache)
        other._ngrams = self._ngrams
        for name in self._MEMORIES:
            setattr(other, name, getattr(self, name)[:, used : used + count])
        other._count(self.lengths.new_zeros(count), [0] * count)
        return other

    def join(self, other: "KVCache") -> None:
        """Take over the rows of a cache that `beside` made last."""
        self._count(torch.cat([self.lengths, other.lengths]), self._known + other._known)

    def keep(self, rows: list[int]) -> None:
        """Keep only these rows of the batch, in this order. Only rows that change their place are copied."""
        moved = [(old, new) for new, old in enumerate(rows) if old != new]
        if moved:
            old, new = map(list, zip(*moved, strict=True))
            for x in (getattr(self, name) for name in self._MEMORIES):
                x[:, new, :, : self.longest] = x[:, old, :, : self.longest]
        self._count(self.lengths[rows], [self._known[row] for row in rows])
