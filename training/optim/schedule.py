"""Learning-rate schedule: a pure function of the step."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from gpt_from_scratch.support.command_line.settings import check_settings
from gpt_from_scratch.support.registry_folder import about, class_in, names_in
from gpt_from_scratch.training.optim import decays
from gpt_from_scratch.training.optim.decay import Decay

if TYPE_CHECKING:
    Name = str
else:
    Name = Literal[tuple(names_in(decays))]


@dataclass(frozen=True)
class ScheduleConfig:
    """Settings of the schedule: warmup, constant, decay."""

    warmup_steps: int = 100
    """Steps in which the learning rate rises from 0 to its peak."""
    decay_fraction: float = 0.5
    """Fraction of the run, at its end, in which the learning rate falls; 1 (usual for a cosine): from the first step on."""
    final_fraction: float = 0.0
    """Final learning rate, as a fraction of the peak."""
    decay: Annotated[Name, tyro.conf.arg(help=f"How the rate falls. {about(decays, Decay.__name__)}")] = "linear"

    def __post_init__(self) -> None:
        check_settings(self, "schedule.")
        if self.warmup_steps < 0:
            raise ValueError(f"schedule.warmup_steps must be 0 or more, it is {self.warmup_steps}")
        for name in ("decay_fraction", "final_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"schedule.{name} must lie in [0, 1], it is {getattr(self, name)}")


def rate(config: ScheduleConfig, step: int, steps: int) -> float:
    """Factor of the peak learning rates at `step` (0 is the first) of a run of `steps`."""
    warm = min(1.0, (step + 1) / (config.warmup_steps + 1))
    decay_steps = config.decay_fraction * steps
    left = 1.0 if decay_steps == 0 else min(1.0, (steps - step) / decay_steps)
    part = class_in(decays, config.decay, Decay).part(left)
    return warm * (config.final_fraction + (1 - config.final_fraction) * part)
