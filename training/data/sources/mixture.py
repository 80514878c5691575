"""Data source `mixture`: several sources with weights that may change during the run."""

from dataclasses import dataclass

from gpt_from_scratch.support.storage.downloads import Progress
from gpt_from_scratch.training.data.mixing.weights import Mixture
from gpt_from_scratch.training.data.source import DataSettings, LiveSource, Mixed


@dataclass(frozen=True)
class MixtureOptions(DataSettings):
    """The sources and their weights."""

    mixture: tuple[str, ...] = ()
    """NAME=WEIGHT for each source: its share of the tokens. A name is anything that --data takes: a live source, a prepared
    folder, a data set's name, or a file. --data NAME=WEIGHT NAME=WEIGHT, and --data FILE.toml, are short for it.
    """
    schedule: tuple[str, ...] = ()
    """STEP:NAME=WEIGHT,NAME=WEIGHT: new weights from a step on. Can be repeated, in the order of the steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.source == MixtureSource.name:
            Mixture.of(self.mixture, self.schedule)
        elif self.mixture or self.schedule:
            raise ValueError(f"data.mixture and data.schedule are for the source {MixtureSource.name!r}")


class MixtureSource(LiveSource):
    """The source of `--data NAME=WEIGHT NAME=WEIGHT`."""

    name = "mixture"
    about = "several sources, each with its share of the tokens"
    options = MixtureOptions
    downloads = True

    def read(self, settings: MixtureOptions, *, progress: Progress | None = None) -> Mixed:
        return Mixed(settings.mixture, settings.schedule)


LIVE = MixtureSource()
