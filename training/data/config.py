"""`DataConfig`: the settings of a run's data, combined from the common settings and those of each source."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from gpt_from_scratch.support.command_line.settings import merged
from gpt_from_scratch.training.data.registry import LIVE, OF_PATHS, live_sources
from gpt_from_scratch.training.data.source import DataSettings

if TYPE_CHECKING:
    SourceName = str
else:
    SourceName = Literal[tuple(LIVE)]


@dataclasses.dataclass(frozen=True)
class DataConfig(merged((source.options for source in LIVE.values()), DataSettings)):  # type: ignore[misc]
    """The training data and its tokenizer."""

    source: Annotated[SourceName, tyro.conf.arg(help=live_sources())] = "stories"

    def replaced(self, **settings: Any) -> "DataConfig":
        """A copy with some settings changed. It is `dataclasses.replace`; type checkers do not know these fields."""
        return dataclasses.replace(self, **settings)

    def of_path(self) -> "DataConfig":
        """A copy whose source is "text" if a path is given and the source reads no path.

        Raises:
            ValueError: the source needs a path, and none is given.
        """
        wants = LIVE[self.source].path
        if self.path is not None and wants == "none":
            return self.replaced(source=OF_PATHS)
        if self.path is None and wants == "needed":
            raise ValueError(f"the source {self.source!r} needs --data.path")
        return self
