"""Data source `shards`: a folder of tokens that `gpt prepare` made."""

from gpt_from_scratch.support.storage.downloads import Progress
from gpt_from_scratch.training.data.source import DataSettings, LiveSource, Prepared


class Shards(LiveSource):
    """The live source of prepared, memory-mapped tokens."""

    name = "shards"
    about = "the folder at `path` that `gpt prepare` made"
    path = "needed"
    brings_tokenizer = True

    def read(self, settings: DataSettings, *, progress: Progress | None = None) -> Prepared:
        assert settings.path is not None
        return Prepared(settings.path)


LIVE = Shards()
