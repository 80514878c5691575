"""The parts of a run, in the order in which `session` makes them: context, data and learner.

Machine     the ranks, this one's device, the dtype of the activations
RunContext  the settings, the machine, the run's folder, the stop request
RunData     the corpus, and HellaSwag's questions
Learner     the model and its strategy, the optimizers, the backends, and the progress
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch

from gpt_from_scratch.kernels.backends import Choice
from gpt_from_scratch.support.devices import choose_device, multiplies_bf16
from gpt_from_scratch.training.checkpoints import CheckpointStore
from gpt_from_scratch.training.config import TrainConfig
from gpt_from_scratch.training.data.corpus import Corpus
from gpt_from_scratch.training.evaluation.hellaswag import HellaSwagQuestions
from gpt_from_scratch.training.optim.adaptation import Adaptation
from gpt_from_scratch.training.optim.weight_average import WeightAverage
from gpt_from_scratch.training.parallel.single import Strategy
from gpt_from_scratch.training.ranks.heartbeat import Peers
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run.console import Display
from gpt_from_scratch.training.run.stop_signals import StopRequest


@dataclass(frozen=True)
class Machine:
    """The machine of a run, as seen from one rank."""

    ranks: Ranks
    device: torch.device
    dtype: torch.dtype
    """Dtype of the activations."""

    @property
    def dtype_name(self) -> str:
        """Name of the dtype, such as "bfloat16"."""
        return str(self.dtype).removeprefix("torch.")


def choose_machine(device: str, dtype: str, ranks: Ranks) -> Machine:
    """Choose the device and dtype: "auto" is the accelerator if there is one, and bf16 if the device multiplies it
    natively.

    Raises:
        ValueError: there is no such device here, or not enough for all ranks.
    """
    chosen = choose_device(device, ranks.local_rank)
    if dtype == "auto":
        dtype = "bf16" if chosen.type == "cuda" and multiplies_bf16(chosen) else "fp32"
    return Machine(ranks, chosen, torch.bfloat16 if dtype == "bf16" else torch.float32)


class Place(NamedTuple):
    """The run's folder on disk."""

    path: Path
    begun: bool = False
    """Whether the run has already begun there: with --resume, or after a restart by torchrun."""
    launchers: tuple[str, ...] = ()
    """Ids of the torchruns that started it (`torchrun.launcher`)."""


@dataclass(frozen=True)
class RunContext:
    """The context of a run: everything except its data and its model."""

    config: TrainConfig
    machine: Machine
    place: Place
    store: CheckpointStore
    display: Display
    stop: StopRequest
    peers: Peers


@dataclass(frozen=True)
class RunData:
    """The data of a run, and HellaSwag's questions."""

    corpus: Corpus
    questions: HellaSwagQuestions | None = None


@dataclass
class Progress:
    """The progress of a run: the state of a checkpoint that is stored as JSON."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    skipped: list[int] = field(default_factory=list)
    best_loss: float | None = None


@dataclass(frozen=True)
class Learner:
    """Everything that changes with each step."""

    parallel: Strategy
    """The model, and the strategy of the ranks."""
    optimizers: list[torch.optim.Optimizer]
    choices: list[Choice]
    """The backend of each op."""
    average: WeightAverage | None = None
    adaptation: Adaptation | None = None
    progress: Progress = field(default_factory=Progress)
