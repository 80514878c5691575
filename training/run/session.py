"""From a command to a run: device, data, model, backends, resume; then the loop."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from gpt_from_scratch.kernels.backends import Choice
from gpt_from_scratch.kernels.own_backends import import_backends
from gpt_from_scratch.models.checkpoints.opening import OpenedModel, open_model
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.models.weight_files import require_utf8
from gpt_from_scratch.support.command_line.described import shown
from gpt_from_scratch.support.devices import choose_device
from gpt_from_scratch.support.storage.private_folder import private_folder
from gpt_from_scratch.tokenizer.protocol import Tokenizer
from gpt_from_scratch.training.checkpoints import Checkpoint, CheckpointStore, NonFiniteError, preflight
from gpt_from_scratch.training.config import WEIGHTS, TrainConfig, as_json, flat
from gpt_from_scratch.training.data.building import build_corpus, vocabulary
from gpt_from_scratch.training.data.corpus import Corpus
from gpt_from_scratch.training.data.registry import LIVE
from gpt_from_scratch.training.evaluation.hellaswag import HellaSwag
from gpt_from_scratch.training.metrics.history import STARTED_AGAIN, history, resumed_at
from gpt_from_scratch.training.metrics.loggers import Loggers, require_packages
from gpt_from_scratch.training.metrics.records.eval import Eval
from gpt_from_scratch.training.metrics.records.event import Event
from gpt_from_scratch.training.optim.optimizers import load_optimizer_tensors, make_optimizers
from gpt_from_scratch.training.parallel.choose import check_ranks, make_strategy
from gpt_from_scratch.training.ranks.heartbeat import Peers
from gpt_from_scratch.training.ranks.process_group import Ranks, process_group
from gpt_from_scratch.training.report.run_data import METRICS_FILE, read_records
from gpt_from_scratch.training.run import backends
from gpt_from_scratch.training.run.command_line import Command, read_config
from gpt_from_scratch.training.run.common_ground import about_settings, agree_on
from gpt_from_scratch.training.run.console import Display
from gpt_from_scratch.training.run.estimate import checkpoint_bytes, estimate
from gpt_from_scratch.training.run.folder import RunFolder
from gpt_from_scratch.training.run.resume import Place, load_resumed, placed
from gpt_from_scratch.training.run.stop_signals import Stopped, StopRequest
from gpt_from_scratch.training.run.summary import describe, finish, introduce, print_estimate
from gpt_from_scratch.training.run.trainer import Progress, Trainer


@dataclass
class Session:
    """A run that is ready to begin; without a trainer (a dry run) there is nothing to do."""

    trainer: Trainer | None = None

    @property
    def was_told_to_stop(self) -> bool:
        """Whether this process itself had a signal; the others stop with it."""
        return self.trainer is not None and self.trainer.stop.requested

    def run(self) -> bool:
        """Train; True when the last step was reached. What is wrong from here on is raised as it is, with its traceback.

        Raises:
            UnsavedError: the disk did not take the last checkpoint.
        """
        if self.trainer is None:
            return True
        trainer, folder = self.trainer, self.trainer.folder
        state, how = "failed", "and saved"
        try:
            trainer.display.start(trainer.progress.step)
            done = trainer.run()
            state = "finished" if done else "interrupted"
            if trainer.store.unsaved is not None:
                state = "unsaved"
        except Stopped as stopped:
            state, how = "interrupted", str(stopped)
            raise
        finally:
            trainer.display.close()
            trainer.profiler.finish()
            alone = trainer.parallel.saving is not None and trainer.parallel.saving.size == 1
            if state == "failed" and alone:  # a save under way is still a save, unless it waits for ranks that are gone
                with contextlib.suppress(OSError, NonFiniteError):  # the error at hand is the one to raise
                    trainer.store.finish()
            lost = {} if trainer.display.lost is None else {"display": f"lost {trainer.display.lost}"}
            folder.describe(state=state, **lost)
            if lost:
                folder.record(Event(trainer.progress.step, f"display {lost['display']}"))
            if state == "interrupted" and trainer.stop.signal is not None:
                folder.record(Event(trainer.progress.step, f"stopped by {trainer.stop.signal.name} {how}"))
            folder.close()
        trainer.store.require_saved()
        if trainer.ranks.is_first:
            finish(trainer, folder.path, state, trainer.display)
        return state == "finished"


def train(command: Command, ranks: Ranks) -> bool:
    """Carry a command out on this rank; True when the last step was reached (or nothing was to do)."""
    with prepared(command, ranks) as session:
        return session.run()


@contextmanager
def prepared(command: Command, ranks: Ranks, *, ends_process: bool = False) -> Iterator[Session]:
    """All that comes before the first step; the process group and the signals are this run's while the block runs.

    Raises:
        ValueError, FileNotFoundError, FileExistsError, RuntimeError: what the user should change, said in words.
    """
    config = command.train
    # Before anything compiles: inductor keeps what it made in a folder that it takes code from again.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(private_folder("inductor")))
    device = choose_device(config.device, ranks.local_rank)
    dtype = choose_dtype(config.dtype, device)
    check_ranks(config, ranks.size)
    backends.known(config.backend, config.backend_module)
    display = Display(config.steps, shows=ranks.is_first)
    if command.dry_run:
        weights = own_weights(config, display)
        config = fitted(config, weights.tokenizer.n_vocab if weights else vocabulary(config.data))
        print_estimate(estimate(config, ranks.size, device, dtype), config, ranks.size, device, display)
        yield Session()
        return
    run = config.run
    about = about_settings(command, ranks, device, dtype) if ranks.size > 1 else None
    with (
        no_denormals(),
        process_group(ranks, device, run.timeout, run.patience, about) as peers,
        StopRequest(speaks=ranks.is_first, ends_process=ends_process, waits=ranks.hosts > 1).listening() as stop,
        placed(command, ranks) as place,
    ):
        yield Session(make_trainer(command, place, ranks, device, dtype, display, stop, peers))


@contextmanager
def no_denormals() -> Iterator[None]:
    """Numbers below 1e-38 are 0 while the block runs. A model that is very sure has many, and CPUs are slow with them.

    The threads of an operation are made with the first large one, and keep what holds then.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def make_trainer(
    command: Command,
    place: Place,
    ranks: Ranks,
    device: torch.device,
    dtype: torch.dtype,
    display: Display,
    stop: StopRequest,
    peers: Peers,
) -> Trainer:
    """The run's data, model, backends and folder, new or as its newest checkpoint has them."""
    path, begun, launchers = place
    if begun and command.resume is None:  # the same command line as when it began: the config is the one saved then
        command = dataclasses.replace(command, train=read_config(path / "config.json"))
    config = command.train
    require_packages(config.run.loggers)
    require_utf8(path)
    store = CheckpointStore(
        path / "checkpoints", keep_last=config.run.keep_last, keep_every=config.run.keep_every, warn=display.warn
    )
    resumed = load_resumed(store, command, ranks) if begun else None
    display.say(f"{'going on with' if resumed else 'run'} {path}")
    weights = None if resumed else own_weights(config, display)
    tokenizer = resumed.tokenizer() if resumed else weights.tokenizer if weights else None
    corpus = make_corpus(config, tokenizer, ranks, display)
    config = fitted(config, corpus.tokenizer.n_vocab)
    questions = HellaSwag(config.run.hellaswag, corpus.tokenizer) if config.run.hellaswag else None
    if (
        config.init_from is not None and weights is None and not resumed
    ):  # another tokenizer is asked for: is it theirs?
        weights = open_model(config.init_from, device="cpu", tokenizer=corpus.tokenizer, hub=True, warn=display.warn)
    model = make_model(config, resumed, weights, device)
    import_backends(config.backend_module)  # a run that has begun may name others
    choices = choose_backends(config, resumed, config.rows(ranks.size, device), device, dtype, ranks, display)
    agree_on(ranks, corpus, questions, model, choices)
    parallel = make_strategy(config, model, ranks, dtype)
    optimizers = make_optimizers(model, config.optimizer, ranks)
    progress = restore(resumed, config, corpus, optimizers) if resumed else Progress()
    folder = RunFolder(path, writes=ranks.is_first, launchers=launchers, warn=display.warn)
    folder.seconds_before = progress.seconds
    folder.write_config(config)
    describe(folder, config, corpus, model, choices, ranks, device, dtype)
    if ranks.is_first:
        preflight(2 * checkpoint_bytes(model, config.optimizer), store.folder)
    introduce(config, corpus, model, display)
    if resumed:
        folder.record(Event(progress.step, resumed_at(progress.step)))
    elif begun:
        folder.record(Event(0, STARTED_AGAIN))
    names = config.run.loggers if ranks.is_first else None
    earlier = history(read_records(path / METRICS_FILE, [])) if ranks.is_first and begun else None
    folder.loggers = Loggers(names, path, flat(as_json(config)), progress.step, warn=display.warn, earlier=earlier)
    return Trainer(
        config,
        corpus,
        parallel,
        optimizers,
        choices,
        folder=folder,
        store=store,
        display=display,
        stop=stop,
        peers=peers,
        progress=progress,
        hellaswag=questions,
        evals=[one for one in earlier.records if isinstance(one, Eval)] if earlier else (),
    )


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """The activations' dtype: bf16 for "auto" where the device multiplies it natively."""
    if name == "auto":
        name = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return torch.bfloat16 if name == "bf16" else torch.float32


def own_weights(config: TrainConfig, display: Display) -> OpenedModel | None:
    """What --init-from names, where the run takes the tokenizer that came with it, as it does unless told otherwise."""
    if config.init_from is None or config.data.tokenizer != WEIGHTS:
        return None
    return open_model(config.init_from, device="cpu", hub=True, warn=display.warn)


def make_corpus(config: TrainConfig, tokenizer: Tokenizer | None, ranks: Ranks, display: Display) -> Corpus:
    """The data; with the tokenizer of the checkpoint or of the weights. Rank 0 first, so that a download happens once."""
    display.say(f"data: {config.data.source}" + (f" {config.data.path}" if config.data.path else "") + " ...")

    def build() -> Corpus:
        return build_corpus(config.data, config.model.block_size, tokenizer=tokenizer)

    if not LIVE[config.data.source].downloads or ranks.size == 1:
        return build()
    if ranks.is_first:
        corpus = build()
        ranks.barrier()
        return corpus
    ranks.barrier()
    return build()


def fitted(config: TrainConfig, n_vocab: int) -> TrainConfig:
    """The config with the tokenizer's vocabulary; one that was chosen must be large enough, and may be larger.

    Raises:
        ValueError: the tokenizer has more ids than the model.
    """
    model = config.model
    if model.vocab_size == GPTConfig().vocab_size and not config.keep_vocab_size:
        return dataclasses.replace(config, model=dataclasses.replace(model, vocab_size=n_vocab))
    if n_vocab > model.vocab_size:
        raise ValueError(
            f"the tokenizer has {n_vocab} ids, model.vocab_size is {model.vocab_size}: leave --model.vocab-size out, or "
            f"give at least {n_vocab}"
        )
    return config


def make_model(
    config: TrainConfig, resumed: Checkpoint | None, weights: OpenedModel | None, device: torch.device
) -> GPT:
    """The model on its device: resumed, begun from other weights, or new."""
    if resumed is not None:
        model = resumed.model()
    elif weights is not None:
        model = weights.model.train()
        if config.model.block_size < weights.context:
            model = model.with_context(config.model.block_size)
        expected, found = (dataclasses.asdict(one.canonical()) for one in (config.model, model.config))
        different = [f"{k} {found[k]} (asked for: {v})" for k, v in expected.items() if found[k] != v]
        if different:
            raise ValueError(
                f"--init-from {config.init_from} is a model of another shape: {', '.join(different)}. Leave the --model "
                f"settings out (and --data.tokenizer, or give {WEIGHTS}): a run takes those of the weights."
            )
    else:
        torch.manual_seed(config.seed)
        model = GPT(config.model)
    return model.to(device)


def choose_backends(
    config: TrainConfig,
    resumed: Checkpoint | None,
    rows: int,
    device: torch.device,
    dtype: torch.dtype,
    ranks: Ranks,
    display: Display,
) -> list[Choice]:
    """Decide and show op, backend and reason. A resumed run keeps its own unless another is asked for by name."""
    before = None if resumed is None else resumed.part("config", TrainConfig).backend
    if resumed is not None and config.backend in (None, backends.FASTEST, before):
        choices = backends.restore(resumed.part("backends", list[tuple[str, str, str]]), device)
    else:
        choices = backends.decide(
            config.backend,
            config.model,
            rows,
            device=device,
            dtype=dtype,
            ranks=ranks,
            say=display.say,
            console=display.console,
        )
    unasked = config.backend is None and "GPT_BACKEND" not in os.environ
    shown = str(dtype).removeprefix("torch.")
    display.backends(choices, str(device), shown, backends.quicker(choices, device) if unasked else [])
    return choices


def restore(
    checkpoint: Checkpoint, config: TrainConfig, corpus: Corpus, optimizers: list[torch.optim.Optimizer]
) -> Progress:
    """Put the optimizers' state and the random numbers back; returns how far the run had come.

    Raises:
        ValueError: the data is not the data of the checkpoint, or the state does not fit.
    """
    # An older release noted less of the data: what it noted is compared.
    saved, now = checkpoint.part("data", dict[str, Any]), corpus.fingerprint
    if changed := [name for name, noted in saved.items() if now.get(name) != noted]:
        what = "; ".join(f"{name} was {shown(saved[name])}, is {shown(now.get(name))}" for name in changed)
        raise ValueError(
            f"the data has changed since {checkpoint.folder} was saved: {what}.\n"
            f"Bring the old data back, or start a new run from the weights: --init-from {checkpoint.folder}"
        )
    prefix = "optimizer."
    tensors = {name.removeprefix(prefix): t for name, t in checkpoint.tensors.items() if name.startswith(prefix)}
    load_optimizer_tensors(optimizers, tensors)
    progress: Progress = checkpoint.part("progress", Progress)
    try:
        torch.set_rng_state(checkpoint.tensors["rng.cpu"])
    except (KeyError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"{checkpoint.folder} holds no state of random numbers that torch can take: {error!r}"
        ) from error
    return progress
