"""`mixture`: several sources at once, each with a weight that may change along the run."""

from dataclasses import dataclass

from gpt_from_scratch.support.storage.downloads import Progress
from gpt_from_scratch.training.data.mixing.weights import Mixture
from gpt_from_scratch.training.data.source import DataSettings, LiveSource, Mixed


@dataclass(frozen=True)
class MixtureOptions(DataSettings):
    """Which sources, and how much of each."""

    mixture: tuple[str, ...] = ()
    """NAME=WEIGHT for each source: the shares of the tokens. A name is what --data takes: a live source, a prepared folder, a
    data set's name, or a file. --data NAME=WEIGHT NAME=WEIGHT, and --data FILE.toml, are short for it."""
    schedule: tuple[str, ...] = ()
    """STEP:NAME=WEIGHT,NAME=WEIGHT: other weights from a step on; several, in the order of their steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.source == MixtureSource.name:
            Mixture.of(self.mixture, self.schedule)
        elif self.mixture or self.schedule:
            raise ValueError(f"data.mixture and data.schedule are for the source {MixtureSource.name!r}")


class MixtureSource(LiveSource):
    """Named by `--data NAME=WEIGHT NAME=WEIGHT`."""

    name = "mixture"
    about = "several sources, each with its share of the tokens"
    options = MixtureOptions
    downloads = True

    def read(self, settings: MixtureOptions, *, progress: Progress | None = None) -> Mixed:
        return Mixed(settings.mixture, settings.schedule)


LIVE = MixtureSource()
