"""TinyStories: stories of a small vocabulary that a model wrote (Eldan and Li, 2023)."""

from gpt_from_scratch.training.data.reading.hub import HubDataSet, HubName
from gpt_from_scratch.training.data.source import PrepareRecipe


class TinyStories(HubDataSet):
    """Two million stories: `tinystories`."""

    name = "tinystories"
    about = "two million stories of simple words, streamed from the Hugging Face hub"
    hub = HubName("roneneldan/TinyStories", validation="validation")
    recipe = PrepareRecipe("--tokenizer bpe --vocab-size 4096 --pattern tinystories", 4096)


PREPARED = TinyStories()
