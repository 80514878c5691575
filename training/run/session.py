"""The session of a run, built from a command in four steps and then trained.

open_run -> load_data -> build_model -> build_trainer
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch

from gpt_from_scratch.kernels.cpu_speed import no_denormals
from gpt_from_scratch.kernels.outside.modules import import_backends
from gpt_from_scratch.models.checkpoints.checkpoint import ADAPTER
from gpt_from_scratch.models.checkpoints.opening import OpenedModel, kind_of, open_model
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.models.weight_files import require_utf8
from gpt_from_scratch.support.storage.json_text import flat
from gpt_from_scratch.support.storage.private_folder import private_folder
from gpt_from_scratch.tokenizer.protocol import NoEndOfTextError, Tokenizer
from gpt_from_scratch.training.checkpoints import Checkpoint, CheckpointStore, NonFiniteError, preflight
from gpt_from_scratch.training.config import WEIGHTS, TrainConfig, as_json
from gpt_from_scratch.training.data.building import build_corpus, vocabulary
from gpt_from_scratch.training.data.corpus import Corpus
from gpt_from_scratch.training.data.registry import LIVE
from gpt_from_scratch.training.evaluation.hellaswag import HellaSwagQuestions
from gpt_from_scratch.training.metrics.history import STARTED_AGAIN, history, resumed_at
from gpt_from_scratch.training.metrics.loggers import Loggers, require_packages
from gpt_from_scratch.training.metrics.records.eval import Eval
from gpt_from_scratch.training.metrics.records.event import Event
from gpt_from_scratch.training.optim.adaptation import Adaptation, adapt, put_back
from gpt_from_scratch.training.optim.optimizers import make_optimizers
from gpt_from_scratch.training.optim.weight_average import WeightAverage
from gpt_from_scratch.training.parallel.choose import check_ranks, make_strategy
from gpt_from_scratch.training.ranks.heartbeat import Peers
from gpt_from_scratch.training.ranks.process_group import Ranks, process_group
from gpt_from_scratch.training.report.follower import followed
from gpt_from_scratch.training.report.run_data import METRICS_FILE, read_records
from gpt_from_scratch.training.run import backends
from gpt_from_scratch.training.run.command_line import Command, read_config
from gpt_from_scratch.training.run.common_ground import about_settings, agree_on, checksum
from gpt_from_scratch.training.run.console import Display
from gpt_from_scratch.training.run.context import (
    Learner,
    Machine,
    Place,
    Progress,
    RunContext,
    RunData,
    choose_machine,
)
from gpt_from_scratch.training.run.estimate import checkpoint_bytes, estimate
from gpt_from_scratch.training.run.folder import RunFolder
from gpt_from_scratch.training.run.resume import load_resumed, placed, restore
from gpt_from_scratch.training.run.stop_signals import Stopped, StopRequest
from gpt_from_scratch.training.run.summary import describe, finish, introduce, print_estimate
from gpt_from_scratch.training.run.trainer import Trainer


@dataclass
class Session:
    """A run that is ready to start. A dry run has no trainer."""

    trainer: Trainer | None = None
    opens_report: bool = False
    """Whether a browser shows the report while it trains."""

    @property
    def was_told_to_stop(self) -> bool:
        """Whether this process itself got a signal; the other ranks stop with it."""
        return self.trainer is not None and self.trainer.stop.requested

    def run(self) -> bool:
        """Train; returns True if the last step was reached. Errors from here on are raised with their traceback.

        Raises:
            UnsavedError: the last checkpoint could not be written.
        """
        if self.trainer is None:
            return True
        trainer, folder = self.trainer, self.trainer.folder
        state, how = "failed", "and saved"
        try:
            trainer.display.start(trainer.progress.step)
            with followed(folder.path) if self.opens_report and trainer.ranks.is_first else contextlib.nullcontext():
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
            if state == "failed" and alone:  # let a running save finish, unless it waits for ranks that are gone
                with contextlib.suppress(OSError, NonFiniteError):  # the original error is more important
                    trainer.store.finish()
            lost = {} if trainer.display.lost is None else {"display": f"lost {trainer.display.lost}"}
            folder.describe(state=state, **lost)
            if state == "unsaved":  # on record too: the display may be lost, and with it the reason
                folder.record(Event(trainer.progress.step, trainer.store.why_unsaved))
            if lost:
                folder.record(Event(trainer.progress.step, f"display {lost['display']}"))
            if state == "interrupted" and trainer.stop.signal is not None:
                folder.record(Event(trainer.progress.step, f"stopped by {trainer.stop.signal.name} {how}"))
            folder.close()
        trainer.store.require_saved()
        if trainer.ranks.is_first:
            finish(trainer, folder.path, state, trainer.display)
        return state == "finished"


@contextmanager
def prepared(command: Command, ranks: Ranks, *, ends_process: bool = False) -> Iterator[Session]:
    """Context that prepares everything before the first step, with the process group and the signal handlers.

    Raises:
        ValueError, FileNotFoundError, FileExistsError, RuntimeError: an error that the user can correct.
    """
    config = command.train
    # Before anything compiles, since inductor executes code from its cache folder.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(private_folder("inductor")))
    machine = choose_machine(config.device, config.dtype, ranks)
    check_ranks(config, ranks.size)
    backends.known(config.backend, config.backend_module)
    display = Display(config.steps, shows=ranks.is_first)
    if command.dry_run:
        estimated(config, machine, display)
        yield Session()
        return
    about = about_settings(command, machine) if ranks.size > 1 else None
    with (
        no_denormals(),
        process_group(ranks, machine.device, config.run.timeout, config.run.patience, about) as peers,
        StopRequest(speaks=ranks.is_first, ends_process=ends_process, waits=ranks.hosts > 1).listening() as stop,
        placed(command, ranks) as place,
    ):
        run, start = open_run(command, place, machine, display, stop, peers)
        run, data = load_data(run, start)
        learner = build_model(run, data, start)
        yield Session(build_trainer(run, data, learner, resumes=start.resumed is not None), command.open)


def estimated(config: TrainConfig, machine: Machine, display: Display) -> None:
    """Print the estimate of a dry run."""
    weights = own_weights(config, display)
    config = fitted(config, weights.tokenizer.n_vocab if weights else vocabulary(config.data))
    n_ranks = machine.ranks.size
    print_estimate(estimate(config, n_ranks, machine.device, machine.dtype), config, n_ranks, machine.device, display)


class Start(NamedTuple):
    """The start of a run: a checkpoint to resume, the weights of another model, or nothing."""

    resumed: Checkpoint | None = None
    weights: OpenedModel | None = None

    def tokenizer(self) -> Tokenizer | None:
        """The tokenizer of the checkpoint or the model."""
        if self.resumed is not None:
            return self.resumed.tokenizer()
        return None if self.weights is None else self.weights.tokenizer


def open_run(
    command: Command, place: Place, machine: Machine, display: Display, stop: StopRequest, peers: Peers
) -> tuple[RunContext, Start]:
    """Open the run: settings, checkpoints and start. Nothing is written yet, in case there is a mistake."""
    path = place.path
    if (
        place.begun and command.resume is None
    ):  # the command line is the same as at the start: use the config that was saved then
        command = dataclasses.replace(command, train=read_config(path / "config.json"))
    config = command.train
    require_packages(config.run.loggers)
    require_utf8(path)
    store = CheckpointStore(
        path / "checkpoints", keep_last=config.run.keep_last, keep_every=config.run.keep_every, warn=display.warn
    )
    resumed = load_resumed(store, command, machine.ranks) if place.begun else None
    display.say(f"{'continuing run' if resumed else 'run'} {path}")
    start = Start(resumed, None if resumed else own_weights(config, display))
    return RunContext(config, machine, place, store, display, stop, peers), start


def load_data(run: RunContext, start: Start) -> tuple[RunContext, RunData]:
    """Load the corpus and the questions, and set the vocabulary size to the tokenizer's."""
    corpus = make_corpus(run, start.tokenizer())
    config = knowing_documents(fitted(run.config, corpus.tokenizer.n_vocab), corpus.tokenizer)
    questions = HellaSwagQuestions(config.run.hellaswag, corpus.tokenizer) if config.run.hellaswag else None
    return dataclasses.replace(run, config=config), RunData(corpus, questions)


def build_model(run: RunContext, data: RunData, start: Start) -> Learner:
    """Build the model on its device, with backends, strategy and optimizers, new or restored."""
    config, ranks = run.config, run.machine.ranks
    model, adaptation = make_model(run, data.corpus.tokenizer, start)
    import_backends(config.backend_module)  # a resumed run may have other backends
    choices = backends.choose(run, start.resumed)
    agree_on(ranks, data, model, choices)
    parallel = make_strategy(config, model, ranks, run.machine.dtype)
    optimizers = make_optimizers(model, config.optimizer, ranks)
    average = WeightAverage(model, config.optimizer.ema_decay) if config.optimizer.ema_decay else None
    progress = restore(start.resumed, data.corpus, optimizers, average) if start.resumed else Progress()
    return Learner(parallel, optimizers, choices, average, adaptation, progress)


def build_trainer(run: RunContext, data: RunData, learner: Learner, *, resumes: bool) -> Trainer:
    """Build the trainer, and start to write into the run's folder."""
    config, place, progress = run.config, run.place, learner.progress
    is_first, model = run.machine.ranks.is_first, learner.parallel.model
    folder = RunFolder(place.path, writes=is_first, launchers=place.launchers, warn=run.display.warn)
    folder.seconds_before = progress.seconds
    folder.write_config(as_json(config))
    describe(folder, run, data, learner)
    if is_first:
        preflight(2 * checkpoint_bytes(model, config), run.store.folder)
    introduce(config, data.corpus, model, run.display)
    if resumes:
        folder.record(Event(progress.step, resumed_at(progress.step)))
    elif place.begun:
        folder.record(Event(0, STARTED_AGAIN))
    names = config.run.loggers if is_first else None
    earlier = history(read_records(place.path / METRICS_FILE, [])) if is_first and place.begun else None
    folder.loggers = Loggers(
        names, place.path, flat(as_json(config)), progress.step, warn=run.display.warn, earlier=earlier
    )
    evals = [one for one in earlier.records if isinstance(one, Eval)] if earlier else ()
    return Trainer(run, data, learner, folder, evals)


def own_weights(config: TrainConfig, display: Display) -> OpenedModel | None:
    """Open the model of --init-from, if the run uses its tokenizer (the default)."""
    if config.init_from is None or config.data.tokenizer != WEIGHTS:
        return None
    return open_model(config.init_from, device="cpu", hub=True, warn=display.warn)


def make_corpus(run: RunContext, tokenizer: Tokenizer | None) -> Corpus:
    """Load the data, with this tokenizer if one is given. Rank 0 downloads first, if needed."""
    settings, block_size, ranks = run.config.data, run.config.model.block_size, run.machine.ranks
    run.display.say(f"data: {settings.source}" + (f" {settings.path}" if settings.path else "") + " ...")
    if ranks.size > 1 and LIVE[settings.source].downloads and not ranks.is_first:
        ranks.barrier()
        return build_corpus(settings, block_size, tokenizer=tokenizer)
    corpus = build_corpus(settings, block_size, tokenizer=tokenizer)
    if ranks.size > 1 and LIVE[settings.source].downloads:
        ranks.barrier()
    return corpus


def fitted(config: TrainConfig, n_vocab: int) -> TrainConfig:
    """The config with the tokenizer's vocabulary size. An explicit size must be at least as large.

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


def knowing_documents(config: TrainConfig, tokenizer: Tokenizer) -> TrainConfig:
    """The config with the tokenizer's end-of-text token, where the model tells documents apart by it.

    Raises:
        ValueError: the tokenizer has none, or another was asked for.
    """
    model = config.model
    if not model.document_mask:
        return config
    try:
        token = tokenizer.eot_token
    except NoEndOfTextError as error:
        raise ValueError(f"model.document_mask needs a tokenizer with an end-of-text token: {error}") from error
    if model.end_of_text not in (None, token):
        raise ValueError(
            f"model.end_of_text is {model.end_of_text}, the tokenizer's end-of-text token is {token}: leave it out"
        )
    return dataclasses.replace(config, model=dataclasses.replace(model, end_of_text=token))


def make_model(run: RunContext, tokenizer: Tokenizer, start: Start) -> tuple[GPT, Adaptation | None]:
    """The model on its device: resumed, begun from other weights, or new; and what of it is adapted, if not all is trained.

    Raises:
        ValueError: the weights have another shape, or were trained with another tokenizer.
    """
    config, adaptation = run.config, None
    if start.resumed is not None and not config.lora.rank:
        model = start.resumed.model()
    elif config.init_from is not None:
        # If another tokenizer is given explicitly, opening the weights checks whether it is the same.
        weights = start.weights or open_model(
            config.init_from, device="cpu", tokenizer=tokenizer, hub=True, warn=run.display.warn
        )
        model = weights.model.train()
        torch.manual_seed(config.seed)
        if config.model.block_size < weights.context:
            model = model.with_context(config.model.block_size)
        expected, found = (dataclasses.asdict(one.canonical()) for one in (config.model, model.config))
        different = [f"{k} {found[k]} (asked for: {v})" for k, v in expected.items() if found[k] != v]
        if different:
            raise ValueError(
                f"--init-from {config.init_from} has another architecture: {', '.join(different)}. Leave out the --model "
                f"settings (and --data.tokenizer, or give {WEIGHTS}); those of the weights are the default."
            )
        if config.lora.rank:
            adaptation = adapted(config, model, weights, start.resumed)
    else:
        torch.manual_seed(config.seed)
        model = GPT(config.model)
    model.set_dropout(config.model.dropout)  # a setting of the training, which another's weights do not bring along
    return model.to(run.machine.device), adaptation


def adapted(config: TrainConfig, model: GPT, weights: OpenedModel, resumed: Checkpoint | None) -> Adaptation:
    """Adapt the model of --init-from: anew, or as far as a checkpoint has come.

    Raises:
        ValueError: the checkpoint's adaptation is of other weights.
    """
    base = weights.name if weights.folder is None else str(weights.folder.resolve())
    adaptation = adapt(model, base, kind_of(weights), checksum(model.state_dict().items()), config.lora)
    if resumed is not None:
        if adaptation.checksum != resumed.part("base", str):
            raise ValueError(
                f"{config.init_from} has not the weights any more that {resumed.folder} adapts. Name where they are: "
                "--init-from FOLDER"
            )
        put_back(model, adaptation, resumed.tensors_of(ADAPTER))
    return adaptation
