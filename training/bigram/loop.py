"""The training loop of one stage of the bigram course, with its evaluation on the whole validation split."""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from gpt_from_scratch.models.bigram import BigramLanguageModel, Stage
from gpt_from_scratch.training.bigram.settings import PRESETS as PRESETS
from gpt_from_scratch.training.bigram.settings import BigramTraining as BigramTraining
from gpt_from_scratch.training.data.validation_set import comparable
from gpt_from_scratch.training.optim.optimizers import make_optimizers
from gpt_from_scratch.training.optim.schedule import rate

EVAL_TOKENS = 16_384
"""Tokens in one batch of an evaluation."""


@dataclass(frozen=True)
class Evaluation:
    """Mean losses in nats per character: of the whole validation split, and of an equal part of the training split."""

    step: int
    train: float
    validation: float


@dataclass(frozen=True)
class Trained:
    """The result of one stage: its evaluations, and the weights of the best and of the last one."""

    stage: Stage
    parameters: int
    cpu_seconds: float
    """CPU time of all threads; unlike the wall time it does not depend on other processes"""
    seconds: float
    """wall time from the first step to the last evaluation"""
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
    """Cut the text into windows of `length` tokens, and their next tokens. An incomplete last window is dropped."""
    count = (len(data) - 1) // length
    return data[: count * length].view(count, length), data[1 : count * length + 1].view(count, length)


@torch.inference_mode()
def evaluate(model: BigramLanguageModel, inputs: Int[Tensor, "w t"], targets: Int[Tensor, "w t"]) -> float:
    """The mean loss over all windows, in nats per token, with dropout off."""
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
