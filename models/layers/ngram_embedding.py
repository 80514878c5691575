"""Hash embeddings of n-grams: the layers need not learn what a bigram table can store.

After the hash n-gram embeddings of the Byte Latent Transformer (Pagnoni et al. 2024, section 3.2.1). They need memory but
almost no arithmetic, and a small model learns in far fewer steps with them.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from gpt_from_scratch.models.layers.embedding import Embedding

GOLDEN = -7046029254386353131  # 2^64 / φ as a signed number: Fibonacci hashing (Knuth, vol. 3, section 6.4)


class NgramEmbedding(nn.Module):
    """The sum of one vector for each of the last 2, 3, ..., n tokens together: n - 1 tables of (buckets, c).

    Raises:
        ValueError: n is below 2.
    """

    def __init__(self, n: int, buckets: int, vocab_size: int, width: int) -> None:
        super().__init__()
        if n < 2:
            raise ValueError(f"n-grams have at least 2 tokens, not {n}: leave the embedding out")
        self.radix, self.buckets = vocab_size + 1, buckets
        self.tables = nn.ModuleList(Embedding(buckets, width) for _ in range(2, n + 1))

    def forward(
        self,
        tokens: Int[Tensor, "b t"],
        before: Int[Tensor, "b before"] | None = None,
        positions: Int[Tensor, "b t"] | None = None,
    ) -> Float[Tensor, "b t c"]:
        """`before` are the n - 1 tokens before these, -1 where there is none; None: these begin the text.

        `positions` count each token within its document, where no n-gram is to reach back beyond one; None: any may.
        """
        n, t = len(self.tables) + 1, tokens.shape[1]
        # Shifted by one, 0 is "none": a bigram at the very beginning is another one than after token 0.
        known = F.pad(tokens + 1, (n - 1, 0)) if before is None else torch.cat([before, tokens], dim=1) + 1
        code = known[:, n - 1 :]
        total: Tensor | None = None
        for back, table in enumerate(self.tables, start=1):
            earlier = known[:, n - 1 - back : n - 1 - back + t]
            if positions is not None:
                earlier = earlier.where(positions >= back, 0)
            code = code + earlier * wrapped(self.radix**back)
            vectors: Tensor = table(self.bucket(code, back + 1))
            total = vectors if total is None else total + vectors
        assert total is not None
        return total

    def bucket(self, code: Int[Tensor, "*s"], n: int) -> Int[Tensor, "*s"]:
        """Row of the table; n-grams do not share rows if the table is large enough."""
        if self.radix**n <= self.buckets:
            return code
        return ((code * GOLDEN) >> 32 & 0x7FFFFFFF) % self.buckets


def wrapped(number: int) -> int:
    """Wrap a number to 64 bits, which long n-grams of large vocabularies exceed."""
    return (number + 2**63) % 2**64 - 2**63
