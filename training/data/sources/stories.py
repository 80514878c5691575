"""`stories` as a source of `prepare`: the same pieces everywhere, without a file."""

from collections.abc import Iterator
from typing import Any

from gpt_from_scratch.training.data.sources.documents import Document, Source
from gpt_from_scratch.training.data.stories import TRAIN_SEED, VALIDATION_SEED, stories

STORIES_A_PIECE = 2_000
TRAIN_PIECES = 20


class StorySource(Source):
    """2,000 stories a piece: the first is for validation, twenty follow to train on."""

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
