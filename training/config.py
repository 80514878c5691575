"""Settings of a run: frozen dataclasses, each with its own checks. They are built by run/presets.py and
run/command_line.py.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from gpt_from_scratch.models.config import GPTConfig
from gpt_from_scratch.models.settings import LoRAConfig
from gpt_from_scratch.support.command_line.described import build
from gpt_from_scratch.support.command_line.settings import Many, OrNever, check_settings
from gpt_from_scratch.support.storage.json_text import flat
from gpt_from_scratch.training.data.config import DataConfig
from gpt_from_scratch.training.metrics.loggers import names_in
from gpt_from_scratch.training.optim.config import OptimizerConfig
from gpt_from_scratch.training.optim.schedule import ScheduleConfig

if TYPE_CHECKING:
    pass

DETERMINISTIC_PARTS = 8
"""Number of micro-batches with --parallel deterministic by default, if it divides the batch: enough for 8 ranks."""

WEIGHTS = "weights"
"""Value of data.tokenizer: the tokenizer in the folder of --init-from."""


@dataclass(frozen=True)
class RunConfig:
    """What a run writes, and how often (0: only at the end)."""

    folder: Path = Path("runs")
    """The folder that holds all runs; each run gets a new folder in it."""
    name: str | None = None
    """The name of the run's folder; default: the preset's name and the time."""
    log_every: int = 10
    """Steps between two records of training metrics."""
    eval_every: int = 250
    """Steps between two evaluations on the whole validation set."""
    eval_first: bool = True
    """Also evaluate the initial weights, before the first step."""
    sample_every: int = 250
    """Steps between two sets of samples."""
    checkpoint_every: int = 250
    """Steps between two checkpoints."""
    keep_last: int = 2
    """Number of newest checkpoints to keep; the best one is kept, too."""
    keep_every: int = 0
    """Checkpoints at multiples of this step are kept permanently."""
    n_samples: Many = 4
    """Number of samples drawn each time during training."""
    n_final_samples: Many = 64
    """Number of samples drawn at the end."""
    sample_tokens: Many = 200
    """Maximum length of a sample, in tokens."""
    temperature: float = 0.8
    """Temperature of the samples."""
    top_p: float = 0.95
    """Samples are drawn from the smallest set of tokens with this total probability."""
    hellaswag: Path | None = None
    """Path of hellaswag_val.jsonl. The model answers its questions every `hellaswag_every` steps and at the end."""
    hellaswag_every: int = 1000
    """Steps between two rounds of HellaSwag."""
    loggers: str | None = None
    """Loggers in addition to metrics.jsonl: "tensorboard", "wandb", "trackio", or several, separated by commas."""
    profile_steps: tuple[int, int] | None = None
    """First and last step to run under torch.profiler (rank 0). --profile is short for 10 12."""
    timeout: OrNever = 100.0
    """Seconds a rank waits for another rank during training steps. Then it reports the missing rank and exits. inf: no
    limit.
    """
    patience: OrNever = 1800.0
    """The same timeout while a rank starts, compiles, saves, evaluates or samples."""

    def __post_init__(self) -> None:
        check_settings(self, "run.")
        for name in (
            "log_every",
            "eval_every",
            "sample_every",
            "checkpoint_every",
            "keep_every",
            "n_samples",
            "n_final_samples",
            "hellaswag_every",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"run.{name} must be 0 or more, it is {getattr(self, name)}")
        for name in ("log_every", "keep_last", "sample_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"run.{name} must be at least 1, it is {getattr(self, name)}")
        if self.name is not None and (self.name in ("", ".", "..") or "/" in self.name or "\\" in self.name):
            raise ValueError(
                f"run.name is a folder's name, not a path: {self.name!r}; --run.folder names the folder that holds all runs"
            )
        names_in(self.loggers)
        if self.profile_steps is not None and not 1 <= self.profile_steps[0] <= self.profile_steps[1]:
            raise ValueError(f"run.profile_steps are the first and the last step, from 1 on, not {self.profile_steps}")
        for name in ("timeout", "patience"):
            if not getattr(self, name) > 0:
                raise ValueError(f"run.{name} is a time in seconds, more than 0; it is {getattr(self, name)}")
        if not self.temperature >= 0:
            raise ValueError(f"run.temperature must be 0 or more, it is {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"run.top_p must lie in (0, 1], it is {self.top_p}")


@dataclass(frozen=True)
class TrainConfig:
    """All settings of a training run. Everything that determines its losses is here."""

    preset: str = "tiny"
    """The preset that gave the defaults."""
    steps: int = 1000
    """Optimizer steps."""
    batch_size: Many = 8
    """Rows of block_size tokens per step, over all ranks and micro-batches."""
    micro_batch: Many | None = None
    """Maximum number of rows in a rank's micro-batch (gradient accumulation). Default: the rank's whole part of the batch;
    on a CPU, as many rows as keep every activation within 16 MiB. With --parallel deterministic it must not depend on the
    ranks: the batch is cut into the largest number of equal micro-batches up to 8.
    """
    parallel: Literal["ddp", "fsdp", "deterministic"] = "ddp"
    """How several ranks share the work. "ddp": each holds the whole model. "fsdp": each holds a shard of every parameter,
    its gradient and its optimizer state. "deterministic": like ddp, slower, with bit-identical results for 1, 2, 4, ...
    ranks.
    """
    seed: int = 0
    """Seed of the initial weights."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """"auto" is the accelerator if there is one."""
    dtype: Literal["auto", "fp32", "bf16"] = "auto"
    """Dtype of the activations (autocast); parameters are fp32. "auto" is bf16 on a device with native bf16 products."""
    backend: str | None = None
    """Kernel backend: one for all ops ("torch"), one per op ("attention=torch,layer_norm=reference"), or "fastest", which
    times all of them at the start and uses the fastest. Default: GPT_BACKEND, else the device's preference.
    """
    backend_module: tuple[str, ...] = ()
    """Your own file or module that registers backends (my_kernels.py, package.module), or hub:org/name. Can be repeated."""
    compile: bool = False
    """Compile the model's blocks with torch.compile. All blocks share one compiled graph, which takes about 15 s. On a CPU
    compiling has not made GPT-2 124M faster (benchmarks/README.md), so --no-compile starts sooner there.
    """
    init_from: str | None = None
    """Start from the weights of a checkpoint, a run, a folder in Hugging Face's format, or a GPT-2 by name ("gpt2")."""
    data: DataConfig = field(default_factory=DataConfig)
    """The training data."""
    model: GPTConfig = field(default_factory=GPTConfig)
    """The architecture; its vocab_size comes from the tokenizer, unless --model.vocab-size gives a larger one."""
    keep_vocab_size: tyro.conf.Suppress[bool] = False
    """Whether model.vocab_size was given explicitly (it may equal the default, 50257) and must not be replaced."""
    lora: LoRAConfig = field(default_factory=LoRAConfig)
    """Low-rank adaptation (LoRA) of the weights of --init-from."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """The optimizer."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """The learning-rate schedule."""
    run: RunConfig = field(default_factory=RunConfig)
    """What the run writes, and how often."""

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("steps", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, it is {getattr(self, name)}")
        if self.micro_batch is not None and self.micro_batch < 1:
            raise ValueError(f"micro_batch must be at least 1, it is {self.micro_batch}")
        if self.lora.rank and self.init_from is None:
            raise ValueError("lora.rank adapts the weights of another model: say --init-from RUN_OR_NAME")
        if self.lora.rank and self.parallel == "fsdp":
            raise ValueError("lora.rank trains so little that nothing need be sharded: take --parallel ddp")
        if self.lora.rank and self.optimizer.ema_decay:
            raise ValueError("lora.rank and optimizer.ema_decay do not go together: an adaptation has no average")
        if self.parallel == "deterministic" and not _is_power_of_two(self.batch_size / self.leaf_rows):
            raise ValueError(
                f"--parallel deterministic adds the micro-batches of a step as a binary tree, so batch_size {self.batch_size} "
                f"must be 1, 2, 4, 8, ... times micro_batch {self.micro_batch}"
            )
        if self.data.tokenizer == WEIGHTS and self.init_from is None:
            raise ValueError(
                f"--data.tokenizer {WEIGHTS} is the tokenizer of --init-from's weights: give --init-from, too"
            )
        object.__setattr__(self, "data", self.data.of_path())

    @property
    def leaf_rows(self) -> int:
        """Rows per micro-batch with --parallel deterministic: the same for any number of ranks and any machine."""
        return self.micro_batch or self.batch_size // math.gcd(self.batch_size, DETERMINISTIC_PARTS)


# Settings that may change on resume: how a run computes (rounding may differ) and what it writes, never what it learns.
FREE_ON_RESUME = (
    "backend",
    "backend_module",
    "compile",
    "device",
    "micro_batch",
    "parallel",
    "init_from",
    "keep_vocab_size",
    "run",
)


def differences(saved: TrainConfig, wanted: TrainConfig) -> list[str]:
    """List the settings that differ and affect the losses, as "data.seed: 0 in the checkpoint, 1 asked for"."""
    before, after = flat(as_json(saved)), flat(as_json(wanted))
    return [
        f"{key}: {before.get(key)!r} in the checkpoint, {after.get(key)!r} asked for"
        for key in sorted(before.keys() | after.keys())
        if key.split(".")[0] not in FREE_ON_RESUME and before.get(key) != after.get(key)
    ]


def _is_power_of_two(x: float) -> bool:
    return math.frexp(x)[0] == 0.5 and x >= 1


def as_json(config: Any) -> dict[str, Any]:
    """Convert a config to JSON values: paths as text, tuples as lists, infinity (`OrNever`) as "inf"."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, Path) or value == math.inf else value

    result: dict[str, Any] = plain(dataclasses.asdict(config))
    return result


def from_json(document: Mapping[str, Any]) -> TrainConfig:
    """The inverse of `as_json`, with every field's type checked.

    Raises:
        ValueError: a field is unknown or of a wrong type; names the field.
    """
    config: TrainConfig = build(TrainConfig, document)
    return config
