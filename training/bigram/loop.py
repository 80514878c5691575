"""The training of one stage of the ladder: its settings, its loop, and its evaluation on the whole validation split."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from gpt_from_scratch.models.bigram import BigramConfig, BigramLanguageModel, Stage
from gpt_from_scratch.support.command_line.settings import Many, Threads, check_settings
from gpt_from_scratch.training.data.validation_set import comparable
from gpt_from_scratch.training.optim.config import OptimizerConfig
from gpt_from_scratch.training.optim.optimizers import make_optimizers
from gpt_from_scratch.training.optim.schedule import ScheduleConfig, rate

EVAL_TOKENS = 16_384
"""Tokens that an evaluation takes at a time."""


@dataclass(frozen=True)
class BigramTraining:
    """What is trained, for how long, and where the results go."""

    preset: Literal["small", "large"] = "small"
    """where the other settings begin"""
    stage: Stage | Literal["all"] = "dropout"
    """how far up the ladder: this stage and all before it; "all" trains every stage, one after the other"""
    data: Path | None = None
    """a UTF-8 text, or a folder of *.txt and *.md files (default: Tiny Shakespeare, downloaded once)"""
    steps: int = 10_000
    """optimizer steps (of each stage)"""
    batch_size: Many = 32
    """windows of the text in a step, drawn at random"""
    eval_every: int = 1000
    """steps between evaluations on the whole validation split"""
    patience: int = 0
    """stop after so many evaluations in a row without a new best; 0: never"""
    seed: int = 0
    """seed of the weights, the windows, the dropout and the samples"""
    threads: Threads = 1
    """CPU threads; the small model does not gain from more"""
    backend: str = "torch"
    """kernel backend of attention and the norms"""
    sample_characters: Many = 500
    """length of the samples"""
    out: Path | None = None
    """folder for the results (default: a new one, runs/bigram-<preset>-<stage>, with a number if that is taken)"""
    model: BigramConfig = field(default_factory=BigramConfig)
    """the sizes; vocab_size comes from the text"""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """how parameters are updated"""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """the learning rate's course"""

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


@dataclass(frozen=True)
class Evaluation:
    """Mean losses in nats a character: of the whole validation split, and of as much of the training split."""

    step: int
    train: float
    validation: float


@dataclass(frozen=True)
class Trained:
    """What one stage reached, and the weights of its best and of its last evaluation."""

    stage: Stage
    parameters: int
    cpu_seconds: float
    """time of all threads together: unlike the clock it does not depend on what else the machine does"""
    seconds: float
    """the clock's, from the first step to the last evaluation"""
    evaluations: tuple[Evaluation, ...]
    best_weights: dict[str, Tensor]
    model: BigramLanguageModel

    @property
    def best(self) -> Evaluation:
        return min(self.evaluations, key=lambda evaluation: comparable(evaluation.validation))

    @property
    def last(self) -> Evaluation:
        return self.evaluations[-1]


def windows(data: Int[Tensor, " n"], length: int) -> tuple[Int[Tensor, "w t"], Int[Tensor, "w t"]]:
    """The text cut into windows of `length` tokens, and the tokens that follow each; what is left at the end is dropped."""
    count = (len(data) - 1) // length
    return data[: count * length].view(count, length), data[1 : count * length + 1].view(count, length)


@torch.inference_mode()
def evaluate(model: BigramLanguageModel, inputs: Int[Tensor, "w t"], targets: Int[Tensor, "w t"]) -> float:
    """The mean loss over all windows, in nats a token, with dropout off."""
    model.eval()
    rows = max(1, EVAL_TOKENS // inputs.shape[1])
    total = sum(float(model(x, y)) * len(x) for x, y in zip(inputs.split(rows), targets.split(rows), strict=True))
    model.train()
    return total / len(inputs)


def train(
    config: BigramTraining,
    stage: Stage,
    training: Int[Tensor, " n"],
    validation: Int[Tensor, " m"],
    n_vocab: int,
    progress: Callable[[Evaluation], None] = lambda evaluation: None,
) -> Trained:
    """Train one stage; deterministic for a given config (on the CPU) and thread count.

    Raises ValueError if either split is shorter than a window and the token after it.
    """
    length = config.model.block_size
    if min(len(training), len(validation)) <= length:
        raise ValueError(
            f"the text has {len(training)} characters for training and {len(validation)} for validation, too few for a "
            f"context of {length}: give a longer text, or lower --model.block-size"
        )
    torch.manual_seed(config.seed)
    model = BigramLanguageModel(replace(config.model, vocab_size=n_vocab), stage)
    optimizers = make_optimizers(model, config.optimizer)
    held_out = windows(validation, length)
    inputs, targets = windows(training, length)
    seen = torch.linspace(0, len(inputs) - 1, min(len(inputs), len(held_out[0]))).long()
    generator = torch.Generator().manual_seed(config.seed)
    evaluations: list[Evaluation] = []
    best_weights: dict[str, Tensor] = {}
    start, begun = time.process_time(), time.perf_counter()
    for step in range(config.steps + 1):
        if step % config.eval_every == 0 or step == config.steps:
            losses = evaluate(model, inputs[seen], targets[seen]), evaluate(model, *held_out)
            evaluations.append(Evaluation(step, *losses))
            progress(evaluations[-1])
            best = min(range(len(evaluations)), key=lambda i: comparable(evaluations[i].validation))
            if best == len(evaluations) - 1:
                best_weights = copy.deepcopy(model.state_dict())
            diverged = not math.isfinite(losses[1])  # nothing brings such weights back
            if step == config.steps or diverged or 0 < config.patience <= len(evaluations) - 1 - best:
                break
        places = torch.randint(len(training) - length, (config.batch_size, 1), generator=generator)
        chosen = training[places + torch.arange(length + 1)]
        loss = model(chosen[:, :-1], chosen[:, 1:])
        loss.backward()
        if config.optimizer.grad_clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.grad_clip)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * rate(config.schedule, step, config.steps)
            optimizer.step()
            optimizer.zero_grad()
    cpu_seconds, seconds = time.process_time() - start, time.perf_counter() - begun
    return Trained(stage, model.num_parameters(), cpu_seconds, seconds, tuple(evaluations), best_weights, model)
