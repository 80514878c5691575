"""`DataConfig`: the settings of a run's data, made of what every source has and what each source adds."""

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
    """What is read, and how text becomes tokens."""

    source: Annotated[SourceName, tyro.conf.arg(help=live_sources())] = "stories"

    def replaced(self, **settings: Any) -> "DataConfig":
        """The same with some settings changed; `dataclasses.replace`, for which type checkers do not know the fields."""
        return dataclasses.replace(self, **settings)

    def of_path(self) -> "DataConfig":
        """The same; where a path is given and the source reads none, it is read as text.

        Raises:
            ValueError: the source needs a path, and there is none.
        """
        wants = LIVE[self.source].path
        if self.path is not None and wants == "none":
            return self.replaced(source=OF_PATHS)
        if self.path is None and wants == "needed":
            raise ValueError(f"the source {self.source!r} needs --data.path")
        return self
