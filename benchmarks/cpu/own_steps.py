"""Training steps as training/run/trainer.py takes them: its own `Trainer`, on a corpus of random tokens, writing nothing."""

import dataclasses
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from gpt_from_scratch.kernels.choices import resolve, set_backend
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.tokenizer.character import CharacterTokenizer
from gpt_from_scratch.training.checkpoints import CheckpointStore
from gpt_from_scratch.training.config import RunConfig, TrainConfig
from gpt_from_scratch.training.data.corpus import Corpus
from gpt_from_scratch.training.data.loader import TokenData
from gpt_from_scratch.training.data.validation_set import ValidationSet
from gpt_from_scratch.training.optim.optimizers import make_optimizers
from gpt_from_scratch.training.parallel.choose import make_strategy
from gpt_from_scratch.training.ranks.heartbeat import Peers
from gpt_from_scratch.training.ranks.process_group import ONE_RANK, Ranks
from gpt_from_scratch.training.run.console import Display
from gpt_from_scratch.training.run.context import Learner, Machine, Place, RunContext, RunData
from gpt_from_scratch.training.run.folder import RunFolder
from gpt_from_scratch.training.run.stop_signals import StopRequest
from gpt_from_scratch.training.run.trainer import Trainer

NEVER = 10**9
NOWHERE = Path("benchmarks writes no run")


def random_stream(vocab_size: int, batch: int, length: int) -> Int[Tensor, " n"]:
    """The same random tokens in every process, one more than `batch` rows of `length`: the last row's last target."""
    return torch.randint(vocab_size, (batch * length + 1,), generator=torch.Generator().manual_seed(0))


def rows_of(stream: Int[Tensor, " n"], length: int) -> tuple[Int[Tensor, "b t"], Int[Tensor, "b t"]]:
    """(tokens, targets)"""
    return stream[:-1].view(-1, length), stream[1:].view(-1, length)


def own_trainer(
    config: TrainConfig, model: GPT, *, backend: str = "torch", ranks: Ranks = ONE_RANK, peers: Peers | None = None
) -> Trainer:
    """A trainer whose every step sees all rows of one random batch, in some order: the first loss is the model's own on it.

    Args:
        config: decides batch, optimizer, schedule and compilation.
    """
    config = dataclasses.replace(config, model=model.config, steps=NEVER, run=RunConfig(log_every=NEVER))
    stream = random_stream(model.config.vocab_size, config.batch_size, model.config.block_size).numpy()
    choices = resolve(backend, "cpu")
    set_backend({choice.op: choice.backend for choice in choices})
    parallel = make_strategy(config, model, ranks, torch.float32)
    corpus = Corpus(
        CharacterTokenizer.from_text("ab"),
        TokenData.from_tokens(stream, model.config.block_size),
        ValidationSet.of_texts([stream], (), model.config.block_size, len(stream)),
        prompt=[0],
        validation_tokens=len(stream) - 1,
        content="",
    )
    run = RunContext(
        config,
        Machine(ranks, torch.device("cpu"), torch.float32),
        Place(NOWHERE),
        CheckpointStore(NOWHERE),
        Display(NEVER, shows=False),
        StopRequest(),
        peers or Peers(),
    )
    learner = Learner(parallel, make_optimizers(model, config.optimizer, ranks), choices)
    return Trainer(run, RunData(corpus), learner, RunFolder(NOWHERE, writes=False))


def train_step(trainer: Trainer) -> float:
    """One step; this rank's part of the mean loss in nats per token."""
    trainer.train_step(trainer.progress.step)
    step = trainer.pending.pop()
    return float(step.loss) / step.n_targets
