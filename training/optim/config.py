"""`OptimizerConfig`: the settings of a run's optimizer, combined from the common settings and those of each algorithm.

The files of `algorithms/` are parsed and not imported, so that --help does not need torch. Only a file that adds settings
is imported.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from gpt_from_scratch.support.command_line.settings import merged
from gpt_from_scratch.support.registry_folder import about, class_in, classes_read_in, is_read_as, names_in
from gpt_from_scratch.training.optim import algorithms
from gpt_from_scratch.training.optim.settings import OptimizerSettings

NAMES = tuple(names_in(algorithms))
"""The optimizers, by the names of their files."""


def own_settings() -> list[type[OptimizerSettings]]:
    """Settings that files of `algorithms/` add to the common ones."""
    adding = [
        name
        for name in NAMES
        if any(is_read_as(node, OptimizerSettings.__name__) for node in classes_read_in(algorithms, name))
    ]
    return [class_in(algorithms, name, OptimizerSettings) for name in adding]


if TYPE_CHECKING:
    Name = str
    AllSettings = OptimizerSettings
else:
    Name = Literal[NAMES]
    AllSettings = merged(own_settings(), OptimizerSettings)


@dataclass(frozen=True)
class OptimizerConfig(AllSettings):
    """Settings of the optimizer."""

    name: Annotated[Name, tyro.conf.arg(help=about(algorithms, "Algorithm"))] = "adamw"
