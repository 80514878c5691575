"""`stories`: little stories of a grammar that knows the probability of each of its choices, made here."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpt_from_scratch.support.command_line.settings import Many
from gpt_from_scratch.support.storage.downloads import Progress
from gpt_from_scratch.training.data.source import (
    Asked,
    DataSettings,
    Document,
    LiveSource,
    PreparedSource,
    Source,
    Texts,
)
from gpt_from_scratch.training.data.stories import TRAIN_SEED, VALIDATION_SEED, floor_nats, parse, stories

STORIES_A_PIECE = 2_000
TRAIN_PIECES = 20
FRESH_SEED = 1_000
"""Neither the training nor the validation stories' seed."""
ENOUGH_STORIES = 1000
"""Stories that have enough pairs to merge for a vocabulary of a few thousand."""


@dataclass(frozen=True)
class StoryOptions(DataSettings):
    """How many stories there are."""

    n_stories: Many = 40_000
    """Stories to train on (source "stories")."""
    n_validation: Many = 500
    """Stories to validate on; their exact entropy is the floor (source "stories")."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_stories", "n_validation"):
            if getattr(self, name) < 1:
                raise ValueError(f"data.{name} must be at least 1, it is {getattr(self, name)}")


class LiveStories(LiveSource):
    """Stories made for the run, whose samples can be judged."""

    name = "stories"
    about = "made here, with a known entropy"
    options = StoryOptions
    pattern = "tinystories"

    def read(self, settings: StoryOptions, *, progress: Progress | None = None) -> Texts:
        return Texts(
            [made.text for made in stories(TRAIN_SEED, range(settings.n_stories))],
            [made.text for made in stories(VALIDATION_SEED, range(settings.n_validation))],
            floor_nats=lambda: floor_nats(VALIDATION_SEED, range(settings.n_validation)),
            judge=lambda text: bool(parse(text)),
        )

    def fewer(self, settings: StoryOptions) -> StoryOptions:
        return dataclasses.replace(settings, n_stories=min(settings.n_stories, ENOUGH_STORIES), n_validation=1)

    def fresh(self, settings: StoryOptions) -> Iterable[str]:
        return (made.text for made in stories(FRESH_SEED, itertools.count()))


class StorySource(Source):
    """2,000 stories a piece: the first is for validation, twenty follow to train on. The same pieces everywhere."""

    def describe(self) -> dict[str, Any]:
        return {"kind": "stories", "stories a piece": STORIES_A_PIECE}

    @property
    def n_pieces(self) -> int:
        return 1 + TRAIN_PIECES

    def documents(self, piece: int) -> Iterator[Document]:
        split, seed, first = (
            ("validation", VALIDATION_SEED, 0) if piece == 0 else ("train", TRAIN_SEED, (piece - 1) * STORIES_A_PIECE)
        )
        for made in stories(seed, range(first, first + STORIES_A_PIECE)):
            yield Document(split, made.text)


class PreparedStories(PreparedSource):
    """`stories` as shards."""

    name = "stories"
    about = "made here"

    def open(self, asked: Asked, files: Sequence[Path]) -> Source:
        return StorySource()


LIVE = LiveStories()
PREPARED = PreparedStories()
