"""The corpus: story `index` of `seed` is a pure function of the two, and what it costs at best is known exactly."""

import hashlib
import math
from collections.abc import Iterable, Iterator

from gpt_from_scratch.training.data.stories.grammar import Derivation
from gpt_from_scratch.training.data.stories.tales import STORIES

TRAIN_SEED = 0
VALIDATION_SEED = 1

MAX_CHARACTERS = STORIES.bound.characters
"""No story is longer: a bound over all paths through the grammar, not a maximum over samples."""


def story(seed: int, index: int) -> Derivation:
    """Story number `index` of the stream `seed`: its text, its -log p in nats (its end included) and its choices.

    The 512 bits of a BLAKE2b hash of (seed, index) are the number that spells the story, so any story can be made on its
    own, and every choice is uniform to within 2^-400.
    """
    return STORIES.write(int.from_bytes(hashlib.blake2b(f"stories {seed} {index}".encode()).digest(), "little"))


def stories(seed: int, indices: Iterable[int]) -> Iterator[Derivation]:
    """The stories of a stream at `indices`."""
    return (story(seed, index) for index in indices)


def floor_nats(seed: int, indices: Iterable[int]) -> float:
    """-log p of these stories together, in nats, their ends included: on average no model can need less.

    It holds for every tokenizer: a model that gives each story, followed by the end-of-text token, its true
    probability scores exactly this. Exact because each story has one derivation, so nothing is left to sum over.
    """
    return math.fsum(made.nats for made in stories(seed, indices))


def parse(text: str) -> list[Derivation]:
    """All derivations of a text as one whole story; an empty list says that the grammar cannot have written it."""
    return STORIES.read(text)


def log_probability(text: str) -> float:
    """log p(text) in nats, as a whole story; -inf for a text that is not one."""
    return STORIES.log_probability(text)
