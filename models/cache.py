"""Keys and values of the tokens seen so far, so that generation computes each token once."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.models.gpt import GPTConfig


class KVCache:
    """Room for `capacity` tokens a row in every layer. Rows may have different lengths.

    Row b's tokens lie at positions 0 ... lengths[b] - 1. What lies beyond is never attended to, but always finite: a
    masked key still meets the arithmetic, where 0 · NaN and inf - inf are NaN. Hence zeros, and not unset memory.
    """

    def __init__(
        self, config: GPTConfig, batch: int, capacity: int, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        shape = (config.n_layer, batch, config.kv_heads, capacity, config.head_size)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.lengths: Int[Tensor, " b"] = torch.zeros(batch, dtype=torch.int64, device=device)
        self.longest = 0
        self.ragged = False

    def append(
        self, layer: int, k: Float[Tensor, "b hkv t d"], v: Float[Tensor, "b hkv t d"]
    ) -> tuple[Float[Tensor, "b hkv tk d"], Float[Tensor, "b hkv tk d"], Int[Tensor, " b"] | None]:
        """Store new tokens' keys and values behind each row's own; returns all keys, all values and the rows' lengths.

        The lengths are None where all rows are equally long: the op then needs no mask.
        """
        count = k.shape[2]
        end = self.longest + count
        if end > self.keys.shape[3]:
            raise ValueError(f"the cache has room for {self.keys.shape[3]} tokens, {end} were given")
        if self.ragged:
            rows = torch.arange(k.shape[0], device=k.device).unsqueeze(1)
            columns = self.lengths.unsqueeze(1) + torch.arange(count, device=k.device)
            self.keys[layer][rows, :, columns] = k.transpose(1, 2).to(self.keys.dtype)
            self.values[layer][rows, :, columns] = v.transpose(1, 2).to(self.values.dtype)
        else:
            self.keys[layer, :, :, self.longest : end] = k
            self.values[layer, :, :, self.longest : end] = v
        lengths = self.lengths + count if self.ragged else None
        return self.keys[layer, :, :, :end].to(k.dtype), self.values[layer, :, :, :end].to(v.dtype), lengths

    def advance(self, count: int) -> None:
        """Count `count` new tokens in every row, once all layers have stored them."""
        self.lengths = self.lengths + count
        self.longest += count

    def truncate(self, lengths: list[int]) -> None:
        """Forget all but the first lengths[b] tokens of each row: the padding of a ragged prompt."""
        self.lengths = torch.tensor(lengths, dtype=torch.int64, device=self.lengths.device)
        self.longest = max(lengths, default=0)
        self.ragged = len(set(lengths)) > 1

    def keep(self, rows: list[int]) -> None:
        """Keep only these rows of the batch, in this order."""
        self.keys, self.values, self.lengths = self.keys[:, rows], self.values[:, rows], self.lengths[rows]
