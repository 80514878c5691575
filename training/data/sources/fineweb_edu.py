"""FineWeb-Edu, the sample of 10 B tokens (Penedo and others, 2024)."""

from gpt_from_scratch.training.data.reading.hub import HubDataSet, HubName
from gpt_from_scratch.training.data.source import GPT2_VOCABULARY, PrepareRecipe


class FineWebEdu(HubDataSet):
    """Educational web pages: `fineweb-edu`."""

    name = "fineweb-edu"
    about = "10 B tokens of educational web pages, streamed from the Hugging Face hub"
    hub = HubName("HuggingFaceFW/fineweb-edu", "sample-10BT")
    recipe = PrepareRecipe("", GPT2_VOCABULARY)


PREPARED = FineWebEdu()
