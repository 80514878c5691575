"""The corpus of stories: story `index` of `seed` is a pure function of both, with an exactly known probability."""

import hashlib
import math
from collections.abc import Iterable, Iterator

from gpt_from_scratch.training.data.stories.grammar import Derivation
from gpt_from_scratch.training.data.stories.tales import STORIES

TRAIN_SEED = 0
VALIDATION_SEED = 1

MAX_CHARACTERS = STORIES.bound.characters
"""Upper bound of a story's length, over all paths through the grammar."""


def story(seed: int, index: int) -> Derivation:
    """Story number `index` of the stream `seed`: its text, its -log p in nats (its end included) and its choices.

    The 512 bits of a BLAKE2b hash of (seed, index) determine the story. So any story can be generated alone, and every
    choice is uniform to within 2^-400.
    """
    return STORIES.write(int.from_bytes(hashlib.blake2b(f"stories {seed} {index}".encode()).digest(), "little"))


def stories(seed: int, indices: Iterable[int]) -> Iterator[Derivation]:
    """The stories of a stream at `indices`."""
    return (story(seed, index) for index in indices)


def floor_nats(seed: int, indices: Iterable[int]) -> float:
    """Total -log p of these stories in nats, their ends included: the lowest loss that any model can have on average.

    It holds for every tokenizer: a model that gives each story, followed by the end-of-text token, its true
    probability scores exactly this. It is exact because each story has exactly one derivation.
    """
    return math.fsum(made.nats for made in stories(seed, indices))


def parse(text: str) -> list[Derivation]:
    """All derivations of a text as one whole story; empty if the grammar cannot generate it."""
    return STORIES.read(text)


def log_probability(text: str) -> float:
    """log p(text) in nats, as a whole story; -inf for a text that is not one."""
    return STORIES.log_probability(text)
