"""`stories`: short stories from a grammar with a known probability for every choice, so their entropy is exact.

May import `support/`.
"""

from gpt_from_scratch.training.data.stories.corpus import (
    MAX_CHARACTERS,
    TRAIN_SEED,
    VALIDATION_SEED,
    floor_nats,
    log_probability,
    parse,
    stories,
    story,
)
from gpt_from_scratch.training.data.stories.grammar import Choice, Derivation

__all__ = [
    "MAX_CHARACTERS",
    "TRAIN_SEED",
    "VALIDATION_SEED",
    "Choice",
    "Derivation",
    "floor_nats",
    "log_probability",
    "parse",
    "stories",
    "story",
]
