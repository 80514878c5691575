"""A KV cache for any number of new tokens per call, which reads prompts; decoding continues in a `DecodingCache`."""

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from gpt_from_scratch.kernels.ops.attention import attention
from gpt_from_scratch.models.config import GPTConfig
from gpt_from_scratch.models.layers.documents import documents_and_positions


class KVCache:
    """Room for `capacity` tokens a row in every layer, (layers, b, hkv, capacity, d). Rows may differ in length.

    Row b's tokens are at places 0 ... lengths[b] - 1. What lies beyond is never attended to, but always finite: a masked key
    still meets the arithmetic, where 0 · NaN and inf - inf are NaN. Hence zeros, not unset memory.
    """

    def __init__(
        self, config: GPTConfig, batch: int, capacity: int, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        shape = (config.n_layer, batch, config.kv_heads, capacity, config.head_size)
        self.config = config
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        remembers = config.ngram > 1 or config.document_mask
        self.tokens = torch.zeros((batch, capacity if remembers else 0), device=device, dtype=torch.int64)
        self.truncate([0] * batch)

    def truncate(self, lengths: list[int]) -> None:
        """Forget all but the first lengths[b] tokens of each row: the padding of a ragged prompt, the first tokens of all."""
        self._count(lengths, torch.tensor(lengths, dtype=torch.int64, device=self.keys.device))

    def _count(self, known: list[int], lengths: Int[Tensor, " b"]) -> None:
        """Set the rows' lengths, which the host knows too: reading them from the device would wait for it."""
        self.known, self.lengths = known, lengths
        self.longest = max(known, default=0)
        self.ragged = len(set(known)) > 1

    def begin(self, tokens: Int[Tensor, "b t"]) -> tuple[Int[Tensor, "b t"], Int[Tensor, "b _"] | None]:
        """The positions of these new tokens, and where the config asks for it the documents of all, these included.

        Raises:
            ValueError: there is no room for them.
        """
        end = self.longest + tokens.shape[1]
        if end > self.keys.shape[3]:
            raise ValueError(f"the cache has room for {self.keys.shape[3]} tokens, {end} were given")
        positions = self.lengths.unsqueeze(1) + torch.arange(tokens.shape[1], device=tokens.device)
        if self.tokens.shape[1]:
            self._store(self.tokens.unsqueeze(1).unsqueeze(3), tokens[:, None, :, None])
        if not self.config.document_mask:
            return positions, None
        documents, inside = documents_and_positions(self.tokens[:, :end], self.config.eot_token)
        return inside.gather(1, positions), documents

    def attend(
        self,
        layer: int,
        q: Float[Tensor, "b h t d"],
        k: Float[Tensor, "b hkv t d"],
        v: Float[Tensor, "b hkv t d"],
        *,
        documents: Int[Tensor, "b _"] | None,
        window: int | None,
    ) -> Float[Tensor, "b h t d"]:
        """Attention of the queries to all tokens of their rows, after the new keys and values are stored."""
        end = self.longest + k.shape[2]
        keys, values = (
            self._store(memory[layer], new)[:, :, :end].to(new.dtype)
            for memory, new in ((self.keys, k), (self.values, v))
        )
        lengths = self.lengths + k.shape[2] if self.ragged else None  # where all are equally long, no mask is needed
        seen: Float[Tensor, "b h t d"] = attention(
            q, keys, values, kv_lengths=lengths, documents=documents, window=window
        )
        return seen

    def _store(self, memory: Shaped[Tensor, "b h _ d"], new: Shaped[Tensor, "b h t d"]) -> Shaped[Tensor, "b h _ d"]:
        """Write behind each row's own tokens; returns the memory."""
        if self.ragged:
            rows = torch.arange(len(new), device=new.device).unsqueeze(1)
            columns = self.lengths.unsqueeze(1) + torch.arange(new.shape[2], device=new.device)
            memory[rows, :, columns] = new.transpose(1, 2).to(memory.dtype)
        else:
            memory[:, :, self.longest : self.longest + new.shape[2]] = new
        return memory

    def before(self, count: int) -> Int[Tensor, "b count"]:
        """The last `count` tokens of each row, -1 where it has fewer."""
        places = self.lengths.unsqueeze(1) - torch.arange(count, 0, -1, device=self.lengths.device)
        return torch.where(places >= 0, self.tokens.gather(1, places.clamp(min=0)), -1)

    def advance(self, count: int) -> None:
        """Count `count` new tokens in every row, once all layers have stored them."""
        self._count([length + count for length in self.known], self.lengths + count)
