"""`OptimizerConfig`: the settings of a run's optimizer, made of what all have and what each file of `algorithms/` adds."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from gpt_from_scratch.support.command_line.settings import merged
from gpt_from_scratch.support.registry_folder import classes_in
from gpt_from_scratch.training.optim import algorithms
from gpt_from_scratch.training.optim.algorithm import Algorithm
from gpt_from_scratch.training.optim.settings import OptimizerSettings

ALGORITHMS = classes_in(algorithms, Algorithm)
"""The optimizers by their names."""


def about() -> str:
    """What each optimizer is, in words, for --help."""
    return (
        "; ".join(
            f'"{name}": {(one.__doc__ or "").partition(chr(10))[0].rstrip(".")}' for name, one in ALGORITHMS.items()
        )
        + "."
    )


if TYPE_CHECKING:
    Name = str
    AllSettings = OptimizerSettings
else:
    Name = Literal[tuple(ALGORITHMS)]
    AllSettings = merged([one.options for one in ALGORITHMS.values()], OptimizerSettings)


@dataclass(frozen=True)
class OptimizerConfig(AllSettings):
    """How parameters are updated."""

    name: Annotated[Name, tyro.conf.arg(help=about())] = "adamw"
