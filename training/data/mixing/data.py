"""The samples and the corpus of a mixture, combined from those of its sources."""

import functools
import hashlib
import json
from collections.abc import Mapping

import numpy as np
from jaxtyping import Int, Integer

from gpt_from_scratch.evals.scoring.bits_per_byte import before_text
from gpt_from_scratch.training.data.corpus import Corpus
from gpt_from_scratch.training.data.loader import TokenData
from gpt_from_scratch.training.data.mixing.order import Order, Stream
from gpt_from_scratch.training.data.mixing.weights import Mixture
from gpt_from_scratch.training.data.validation_set import ValidationSet


class MixedData(TokenData):
    """The samples of several sources, in an order that follows their weights."""

    def __init__(self, mixture: Mixture, parts: Mapping[str, TokenData]) -> None:
        self.mixture, self.parts = mixture, [parts[name] for name in mixture.names]
        self.block_size = self.parts[0].block_size
        self.firsts = np.cumsum([0, *(part.n_samples for part in self.parts)])
        self.n_samples = int(self.firsts[-1])
        self.n_targets = sum(part.n_targets for part in self.parts)
        self._order = functools.lru_cache(maxsize=1)(self._new_order)

    def _new_order(self, seed: int, batch_size: int) -> Order:
        streams = [Stream(seed, part.targets, part.n_samples) for part in self.parts]
        return Order(self.mixture, streams, batch_size)

    def batch_ids(self, seed: int, step: int, batch_size: int) -> Int[np.ndarray, " b"]:
        taken = self._order(seed, batch_size).batch(step)
        return np.array([self.firsts[source] + sample for source, sample in taken], dtype=np.int64)

    def row(self, sample: int) -> Integer[np.ndarray, " m"]:
        part, inside = self.place(sample)
        return self.parts[part].row(inside)

    def where(self, sample: int) -> str:
        part, inside = self.place(sample)
        return f"{self.mixture.names[part]}, {self.parts[part].where(inside)}"

    def place(self, sample: int) -> tuple[int, int]:
        """The source of a sample, and its number within that source."""
        part = int(np.searchsorted(self.firsts, sample, side="right")) - 1
        return part, sample - int(self.firsts[part])


def mixed_corpus(mixture: Mixture, parts: Mapping[str, Corpus]) -> Corpus:
    """Combine several corpora with the same tokenizer. Validation uses the texts of all, and each source's texts alone."""
    corpora = [parts[name] for name in mixture.names]
    described = [[name, corpus.content] for name, corpus in parts.items()]
    end = list(before_text(corpora[0].tokenizer))
    beginning = next((corpus.prompt for corpus in corpora if corpus.prompt == end), corpora[0].prompt)
    return Corpus(
        corpora[0].tokenizer,
        MixedData(mixture, {name: corpus.train for name, corpus in parts.items()}),
        ValidationSet.of_sets({name: parts[name].validation for name in mixture.names}),
        prompt=beginning,
        validation_tokens=sum(corpus.validation_tokens for corpus in corpora),
        content=hashlib.sha256(json.dumps(described).encode()).hexdigest(),
    )
