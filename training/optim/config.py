"""`OptimizerConfig`: the settings of a run's optimizer, made of what all have and what each file of `algorithms/` adds.

The files are read, not imported, so that a command's --help does not wait for torch; only one that adds settings is imported.
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
    """The settings that files of `algorithms/` add to those that all have."""
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
    """How parameters are updated."""

    name: Annotated[Name, tyro.conf.arg(help=about(algorithms, "Algorithm"))] = "adamw"
