"""The settings of the bigram course and its two presets; importable without torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from gpt_from_scratch.models.settings import BigramConfig, Stage
from gpt_from_scratch.support.command_line.settings import Many, Threads, check_settings
from gpt_from_scratch.training.optim.config import OptimizerConfig
from gpt_from_scratch.training.optim.schedule import ScheduleConfig


@dataclass(frozen=True)
class BigramTraining:
    """Settings of the bigram course."""

    preset: Literal["small", "large"] = "small"
    """the preset that sets the defaults of the other options"""
    stage: Stage | Literal["all"] = "dropout"
    """the model of this stage, which includes all stages before it; "all" trains every stage, one after the other"""
    data: Path | None = None
    """a UTF-8 text, or a folder of *.txt and *.md files (default: Tiny Shakespeare, downloaded once)"""
    steps: int = 10_000
    """optimizer steps per stage"""
    batch_size: Many = 32
    """windows of text per step, drawn at random"""
    eval_every: int = 1000
    """steps between evaluations on the whole validation split"""
    patience: int = 0
    """stop after this many evaluations in a row without a new best loss; 0: never"""
    seed: int = 0
    """seed of the weights, the windows, the dropout and the samples"""
    threads: Threads = 1
    """CPU threads; the small model is not faster with more"""
    backend: str = "torch"
    """kernel backend of attention and the norms"""
    sample_characters: Annotated[Many, tyro.conf.arg(name="max-tokens", aliases=["--sample-characters"])] = 500
    """length of the samples, in characters"""
    out: Path | None = None
    """folder for the results (default: a new folder runs/bigram-<preset>-<stage>, with a number if that exists)"""
    model: BigramConfig = field(default_factory=BigramConfig)
    """model sizes; vocab_size comes from the text"""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """how parameters are updated"""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """learning-rate schedule"""

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("steps", "batch_size", "eval_every", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: at least 1 is needed")
        for name in ("patience", "sample_characters"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it is 0 or more")

    @property
    def folder(self) -> Path:
        return self.out or Path("runs") / f"bigram-{self.preset}-{self.stage}"


PRESETS: dict[str, BigramTraining] = {
    "small": BigramTraining(
        optimizer=OptimizerConfig(lr=2e-3, weight_decay=0.01),
        schedule=ScheduleConfig(warmup_steps=100, decay_fraction=0.9),
    ),
    "large": BigramTraining(
        preset="large",
        steps=1900,
        batch_size=32,
        eval_every=100,
        patience=5,
        threads=2,
        sample_characters=2000,
        model=BigramConfig(block_size=256, n_embd=256, n_head=4, n_layer=6, dropout=0.2),
        optimizer=OptimizerConfig(name="muon", lr=2e-3, muon_lr=0.02, weight_decay=0.1),
        schedule=ScheduleConfig(warmup_steps=50, decay_fraction=0.8),
    ),
}
