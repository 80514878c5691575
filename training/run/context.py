"""Parts that a run is built of, in the order in which `session` makes them: its context, its data, and what learns.

Machine     the ranks, this one's device, the dtype of the activations
RunContext  the settings, the machine, where the run writes, who may interrupt it
RunData     the corpus, and HellaSwag's questions
Learner     the model and how ranks share it, the optimizers, the backends, and how far they have come
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch

from gpt_from_scratch.kernels.backends import Choice
from gpt_from_scratch.support.devices import choose_device
from gpt_from_scratch.training.checkpoints import CheckpointStore
from gpt_from_scratch.training.config import TrainConfig
from gpt_from_scratch.training.data.corpus import Corpus
from gpt_from_scratch.training.evaluation.hellaswag import HellaSwag
from gpt_from_scratch.training.optim.adaptation import Adaptation
from gpt_from_scratch.training.optim.weight_average import WeightAverage
from gpt_from_scratch.training.parallel.single import Strategy
from gpt_from_scratch.training.ranks.heartbeat import Peers
from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run.console import Display
from gpt_from_scratch.training.run.stop_signals import StopRequest


@dataclass(frozen=True)
class Machine:
    """Where a run computes, as seen from one rank."""

    ranks: Ranks
    device: torch.device
    dtype: torch.dtype
    """Of the activations."""

    @property
    def dtype_name(self) -> str:
        """As "bfloat16"."""
        return str(self.dtype).removeprefix("torch.")


def choose_machine(device: str, dtype: str, ranks: Ranks) -> Machine:
    """The machine of a run: "auto" is the accelerator if there is one, and bf16 where the device multiplies it natively.

    Raises:
        ValueError: there is no such device here, or not one for each rank.
    """
    chosen = choose_device(device, ranks.local_rank)
    if dtype == "auto":
        native = chosen.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        dtype = "bf16" if native else "fp32"
    return Machine(ranks, chosen, torch.bfloat16 if dtype == "bf16" else torch.float32)


class Place(NamedTuple):
    """Where a run writes."""

    path: Path
    begun: bool = False
    """Whether it has begun there: --resume says so, or torchrun has restarted its workers."""
    launchers: tuple[str, ...] = ()
    """The torchruns that started it (`torchrun.launcher`)."""


@dataclass(frozen=True)
class RunContext:
    """What surrounds the data and the model of a run."""

    config: TrainConfig
    machine: Machine
    place: Place
    store: CheckpointStore
    display: Display
    stop: StopRequest
    peers: Peers


@dataclass(frozen=True)
class RunData:
    """What a run learns from, and what it is asked."""

    corpus: Corpus
    questions: HellaSwag | None = None


@dataclass
class Progress:
    """How far a run has come: what a checkpoint holds beside tensors, as JSON."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    skipped: list[int] = field(default_factory=list)
    best_loss: float | None = None


@dataclass(frozen=True)
class Learner:
    """What changes with every step."""

    parallel: Strategy
    """The model, and how the ranks share its training."""
    optimizers: list[torch.optim.Optimizer]
    choices: list[Choice]
    """The backend of each op."""
    average: WeightAverage | None = None
    adaptation: Adaptation | None = None
    progress: Progress = field(default_factory=Progress)
