"""Summary of a run: run.json, the lines before the first step and at the end, and the dry run's estimate."""

import dataclasses
import datetime
import os
import signal
import sys
from pathlib import Path

import torch

from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.support.command_line.invocation import gpt
from gpt_from_scratch.support.storage.files import retried
from gpt_from_scratch.support.torchrun import SAVED_RANKS
from gpt_from_scratch.support.units import duration, size
from gpt_from_scratch.tokenizer.chat.template import template_of
from gpt_from_scratch.training.checkpoints.space import is_disk_full
from gpt_from_scratch.training.config import TrainConfig
from gpt_from_scratch.training.data.corpus import Corpus
from gpt_from_scratch.training.optim.adaptation import trained
from gpt_from_scratch.training.run.console import Display
from gpt_from_scratch.training.run.context import Learner, RunContext, RunData
from gpt_from_scratch.training.run.estimate import Estimate
from gpt_from_scratch.training.run.folder import RunFolder, versions
from gpt_from_scratch.training.run.trainer import Trainer


def describe(folder: RunFolder, run: RunContext, data: RunData, learner: Learner) -> None:
    """Write run.json."""
    config, validation = run.config, data.corpus.validation
    floor = None if validation.floor_nats is None else validation.floor_nats / validation.n_targets
    folder.describe(
        name=folder.path.name,
        created=_now(),
        command=[Path(sys.argv[0]).name, *sys.argv[1:]],
        device=str(run.machine.device),
        dtype=run.machine.dtype_name,
        parameters=learner.parallel.model.num_parameters(),
        backends=[dataclasses.asdict(choice) for choice in learner.choices],
        versions=versions(),
        world_size=run.machine.ranks.size,
        tokens_per_step=config.batch_size * config.model.block_size,
        floor_nats_per_token=floor,
        tokenizer=data.corpus.tokenizer.fingerprint,
        state="running",
    )


def introduce(config: TrainConfig, corpus: Corpus, model: GPT, display: Display) -> None:
    """Print the model, the data and the settings."""
    validation, train = corpus.validation, corpus.train
    display.say(
        f"model: {model.num_parameters():,} parameters, {config.model.n_layer} layers, {config.model.n_head} heads, "
        f"{config.model.n_embd} wide, context {config.model.block_size}, vocabulary {config.model.vocab_size:,}"
    )
    if config.lora.rank:
        display.say(f"LoRA: {trained(model)}")
    display.say(f"data: {train.n_targets:,} training tokens, {validation.n_targets:,} validation tokens")
    if validation.floor_nats is not None:
        floor = validation.floor_nats / validation.n_targets
        display.facts["floor_nats_per_token"] = floor
        display.say(f"floor: the validation text has {floor:.4f} nats per token, exactly; no model can do better")
    epochs = config.steps * config.batch_size / train.n_samples
    display.say(f"training: {config.steps:,} steps of {config.batch_size} rows, {epochs:.2f} epochs")


def finish(trainer: Trainer, path: Path, state: str, display: Display) -> None:
    """Write the report, and print the results, the files, and the next steps."""
    from gpt_from_scratch.training.report.page import write_report

    step, steps = trainer.progress.step, trainer.config.steps
    hurries = state == "interrupted" and trainer.stop.signal != signal.SIGINT  # after SIGTERM a scheduler kills us soon
    report = None
    if not hurries:
        try:
            report = retried(lambda: write_report([path]))
        # The run is done and saved, so an error in its report must not make it fail.
        except Exception as error:
            reason = "the disk is full" if is_disk_full(error) else f"{type(error).__name__}: {error}"
            display.warn(f"{reason}: {path / 'report.html'} could not be written")
    if state == "interrupted":
        display.say(f"\nstopped after step {step} of {steps}; the state is saved. Continue with:", style="bold")
        display.say(f"  {gpt('train', '--resume', path)}")
        if report is None:
            display.say(f"To write its report: {gpt('report', path)}", style="dim")
        if "TORCHELASTIC_RUN_ID" in os.environ and SAVED_RANKS not in os.environ:
            display.say("The lines below are torchrun's own message about the signal.", style="dim")
        return
    display.say(f"\ndone: {steps:,} steps in {duration(trainer.folder.seconds)}", style="bold")
    if (score := trainer.last_score) is not None:
        text = f"validation: {score.loss:.4f} nats per token, {score.bits_per_byte:.4f} bits per byte"
        if score.ratio is not None:
            text += f"; {score.nats:,.0f} nats in all, {score.ratio:.3f} x the floor of {score.floor_nats:,.0f}"
        display.say(text)
    judged = [sample for sample in trainer.samples if sample.grammatical is not None]
    if judged:
        good = sum(bool(sample.grammatical and sample.novel) for sample in judged)
        display.say(
            f"samples: {good} of {len(judged)} ({good / len(judged):.0%}) are stories that the grammar could have written "
            "and that the training text does not have"
        )
    display.say(
        f"\nreport       {report or 'not drawn'}\n"
        f"checkpoint   {trainer.store.path_of(step)}\n"
        f"metrics      {path / 'metrics.jsonl'}\n\n"
        "try next\n" + "\n".join(f"  {line}" for line in next_steps(trainer, path))
    )


def next_steps(trainer: Trainer, path: Path) -> list[str]:
    """Commands for the next steps after a finished run, which depend on its data."""
    config = trainer.config
    if template_of(trainer.corpus.tokenizer) is not None:
        return [gpt("chat", path), gpt("serve", path, "--open"), gpt("report", path), gpt("train", "--help")]
    if trainer.corpus.stories:
        return [
            gpt("generate", path, "--prompt", "Once upon a time"),
            gpt("attention", path),
            gpt("report", path),
            gpt("train", "--help"),
        ]
    longer = gpt("train", "--config", path / "config.json", "--steps", str(2 * config.steps))
    return [gpt("generate", path), gpt("attention", path), longer, gpt("train", "--help")]


def print_estimate(e: Estimate, config: TrainConfig, n_ranks: int, device: torch.device, display: Display) -> None:
    """Print the estimate of a dry run."""
    for name, text in {
        "parameters": f"{e.parameters:,}",
        "memory per rank": f"{size(e.memory)}: weights {size(e.weights)}, gradients {size(e.gradients)}, optimizer "
        f"{size(e.optimizer)}, activations about {size(e.activations)}",
        "disk": f"{size(e.disk)} for checkpoints of {size(e.checkpoint)}",
        "tokens": f"{e.tokens:,} in {config.steps:,} steps of {config.batch_size * config.model.block_size:,}",
        "FLOPs": f"{e.flops_a_token / 1e6:,.1f} M per token, {e.flops:.3g} in all",
        "expected time": f"about {duration(e.seconds)} on {n_ranks} x {device}, at half of the measured "
        f"{e.gemm_rate / 1e9:,.0f} GFLOP/s of its matrix products; evaluation and start not included",
    }.items():
        display.say(f"{name:<14} {text}")
    display.say("dry run: nothing was written.")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
