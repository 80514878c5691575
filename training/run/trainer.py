"""The training loop: step, record, save, evaluate and sample, until all steps are done or a stop is requested."""

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.choices import use_backend
from gpt_from_scratch.models.checkpoints.averaged import AVERAGE
from gpt_from_scratch.models.checkpoints.checkpoint import ADAPTER
from gpt_from_scratch.models.generation.sampling import NonFiniteLogitsError
from gpt_from_scratch.models.gpt import GPT
from gpt_from_scratch.training.checkpoints import NonFiniteError
from gpt_from_scratch.training.config import as_json
from gpt_from_scratch.training.data.loader import NO_TARGET
from gpt_from_scratch.training.data.sampler import dropout_seed, rank_part
from gpt_from_scratch.training.data.validation_set import ValidationScore, comparable, evaluate
from gpt_from_scratch.training.evaluation.samples import Sample, draw_samples
from gpt_from_scratch.training.metrics.record import Record
from gpt_from_scratch.training.metrics.records.eval import Eval
from gpt_from_scratch.training.metrics.records.event import Event
from gpt_from_scratch.training.metrics.records.hellaswag import HellaSwagRecord
from gpt_from_scratch.training.metrics.records.sample import SampleRecord
from gpt_from_scratch.training.metrics.records.source_eval import SourceEval
from gpt_from_scratch.training.metrics.records.train import Train
from gpt_from_scratch.training.optim.optimizers import leading_group, optimizer_tensors
from gpt_from_scratch.training.optim.schedule import rate
from gpt_from_scratch.training.parallel.choose import rows_at_once
from gpt_from_scratch.training.ranks.heartbeat import TRAINING
from gpt_from_scratch.training.report.model_card import model_card
from gpt_from_scratch.training.report.run_data import Run
from gpt_from_scratch.training.run.backends import without_compiled
from gpt_from_scratch.training.run.context import Learner, RunContext, RunData
from gpt_from_scratch.training.run.estimate import flops_a_token, peak_flops
from gpt_from_scratch.training.run.folder import RunFolder
from gpt_from_scratch.training.run.profiler import StepProfiler

R = TypeVar("R", bound=Record)
SKIP_BUDGET, SKIP_WINDOW = 3, 100  # at most this many bad steps in this window are skipped; one more ends the run


class TooManySkippedStepsError(RuntimeError):
    """The loss or gradient was not finite too often, so the run has diverged."""


class Pending(NamedTuple):
    """A step whose metrics are still on the device."""

    step: int
    loss: Float[Tensor, ""]
    grad_norm: Float[Tensor, ""]
    lr: float
    n_targets: int


class Trainer:
    """The trainer of one rank. `run` returns when all steps are done, or after a requested stop and a save."""

    def __init__(
        self, run: RunContext, data: RunData, learner: Learner, folder: RunFolder, evals: Sequence[Eval] = ()
    ) -> None:
        """
        Args:
            evals: earlier validations of the run.
        """
        self.config, self.store = run.config, run.store
        self.display, self.stop, self.peers = run.display, run.stop, run.peers
        self.corpus, self.hellaswag = data.corpus, data.questions
        self.parallel, self.optimizers, self.choices = learner.parallel, learner.optimizers, learner.choices
        self.model, self.ranks, self.device = self.parallel.model, self.parallel.ranks, self.parallel.device
        self.average, self.adaptation = learner.average, learner.adaptation
        self.progress, self.folder = learner.progress, folder
        self.first_step = self.progress.step
        self.rows = rows_at_once(self.config, self.ranks.size, self.device)
        self.pending: list[Pending] = []
        self.leading = leading_group(self.optimizers)
        self.flops_a_token = flops_a_token(self.model.config)
        self.peak_flops = peak_flops(self.device, self.parallel.dtype)
        self.interval_start = time.perf_counter()
        self.eval_choice = without_compiled(self.choices, self.device)
        self.last_score: ValidationScore | None = None
        profiled = self.config.run.profile_steps if self.ranks.is_first else None
        self.profiler = StepProfiler(profiled, lambda: folder.path, self.device, self.display.say)
        self.samples: list[Sample] = []
        self.evals = list(evals)

    def run(self) -> bool:
        """Train to the last step; returns False if a stop was requested before."""
        config, run, first = self.config, self.config.run, self.first_step
        self.stop.waits = True
        while True:
            step = self.progress.step
            last = step == config.steps
            if self._saves_at(step):
                self.peers.at(step, "saving")
                self.save(wait=last)
            if last or (run.eval_every and step % run.eval_every == 0 and (step or run.eval_first)):
                self.peers.at(step, "evaluating")
                self.evaluate()
            if last or (run.hellaswag_every and step and step % run.hellaswag_every == 0):
                self.peers.at(step, "answering HellaSwag")
                self.answer_hellaswag()
            if last or (run.sample_every and step and step % run.sample_every == 0):
                self.peers.at(step, "sampling")
                self.sample(run.n_final_samples if last else run.n_samples)
            if last:
                self.store.finish()
                return not self.stop.requested
            self.peers.at(step, "its first step" if step == first else TRAINING)
            with self.profiler.around(step + 1):
                stops = self.train_step(step)
            if stops:
                self.peers.at(step, "saving")
                self.flush()
                self.save(wait=True)
                return False

    def train_step(self, step: int) -> bool:
        """Do one optimizer step. Returns True, without a step, if any rank was asked to stop."""
        config = self.config
        ids = self.corpus.train.batch_ids(config.data.seed, step, config.batch_size)
        mine = rank_part(ids, self.ranks.rank, self.ranks.size)
        batches = [self.corpus.train.batch(mine[i : i + self.rows]) for i in range(0, len(mine), self.rows)]
        counted = sum(int((targets != NO_TARGET).sum()) for _, targets in batches)
        n_targets, stops = self.ranks.sum(counted, self.stop.requested)
        if stops:
            return True
        seeds = [dropout_seed(config.seed, step, int(mine[i])) for i in range(0, len(mine), self.rows)]
        with (
            self.stop.ending_at_once() if step == self.first_step else nullcontext(),  # this may compile for a minute
            torch.random.fork_rng(devices=[]),  # the state that is saved does not depend on who drops what
        ):
            loss = self.parallel.accumulate(batches, n_targets, seeds if config.model.dropout else ())
        grad_norm = self.parallel.clip(config.optimizer.grad_clip)
        factor = rate(config.schedule, step, config.steps)
        bad = (~torch.isfinite(grad_norm)).float()
        for optimizer in self.optimizers:
            optimizer.found_inf = bad  # type: ignore[attr-defined]
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(step)
        lr = self.leading[1]["lr"]
        self.pending.append(Pending(step + 1, loss, grad_norm, lr, int(n_targets)))
        self.progress.step = step + 1
        self.progress.tokens += int(n_targets)
        if (step + 1) % config.run.log_every == 0 or step + 1 == config.steps:
            self.flush()
        return False

    def flush(self) -> None:
        """Fetch the metrics of the steps since the last call, record and show them. Only here the host waits for the
        device.

        Raises:
            TooManySkippedStepsError: more than SKIP_BUDGET of SKIP_WINDOW steps were not finite.
        """
        if not self.pending:
            return
        pending, self.pending = self.pending, []
        losses = self.ranks.sum(*torch.stack([p.loss for p in pending]).double().tolist())
        norms = torch.stack([p.grad_norm for p in pending]).tolist()
        now = time.perf_counter()
        tokens_per_s = sum(p.n_targets for p in pending) / max(now - self.interval_start, 1e-9)
        self.interval_start = now
        mfu = (
            None if self.peak_flops is None else tokens_per_s * self.flops_a_token / (self.peak_flops * self.ranks.size)
        )
        for p, nats, norm in zip(pending, losses, norms, strict=True):
            train = Train(
                p.step,
                loss=nats / p.n_targets,
                lr=p.lr,
                lr_of=self.leading[0],
                grad_norm=norm,
                tokens_per_s=round(tokens_per_s, 1),
                mfu=mfu,
            )
            if math.isfinite(norm):
                self.folder.record(train)
            else:
                self._note_skip(p.step, nats / p.n_targets, norm)
        self.display.progress(dataclasses.replace(train, loss=sum(losses) / sum(p.n_targets for p in pending)))

    def save(self, *, wait: bool) -> None:
        """Save a checkpoint of this step: rank 0 writes it, or every rank its part."""
        self.flush()
        if (saving := self.parallel.saving) is None:
            return
        self.progress.seconds = self.folder.seconds
        tensors = {f"optimizer.{k}": v for k, v in optimizer_tensors(self.optimizers).items()}
        if self.average is not None:
            tensors |= {f"{AVERAGE}{name}": tensor for name, tensor in self.average.tensors.items()}
        weights, adapter = self.model.state_dict(), None
        if self.adaptation is not None:
            weights, adapter = self.adaptation.merged(self.model), self.adaptation.described(self.model)
            tensors |= {f"{ADAPTER}{k}": v for k, v in self.adaptation.adapter(self.model).tensors.items()}
        tensors["rng.cpu"] = torch.get_rng_state()
        state = {
            "progress": vars(self.progress),
            "config": as_json(self.config),
            "backends": [[c.op, c.backend, c.reason] for c in self.choices],
            "dtype": str(self.parallel.dtype).removeprefix("torch."),
            "data": self.corpus.fingerprint,
            **({} if self.adaptation is None else {"base": self.adaptation.checksum}),
        }
        about = Run(self.folder.path, as_json(self.config), self.folder.about, tuple(self.evals), ())
        self.store.folder = self.folder.checkpoints  # at the folder's current path
        try:
            self.store.save(
                self.progress.step,
                config=self.model.config,
                weights=self.parallel.part(weights),
                tokenizer=self.corpus.tokenizer,
                tensors=self.parallel.part(tensors),
                state=state,
                card=model_card(about, self.model.config, self.progress.step),
                adapter=adapter,
                wait=wait,
                ranks=saving,
            )
        except NonFiniteError as error:
            self.folder.record(Event(self.progress.step, f"not saved: {error}"))
            raise

    def evaluate(self) -> None:
        """Score the whole validation set, record and show it, and mark the best checkpoint."""
        step = self.progress.step
        with self._whole_model() as model:
            score = evaluate(model, self.corpus.validation, self.ranks, should_stop=lambda: self.stop.requested)
        if score is None:
            return
        self.last_score = score
        is_best = comparable(score.loss) < comparable(self.progress.best_loss)
        if is_best:
            self.progress.best_loss = score.loss
        made = Eval(step, score.loss, score.bits_per_byte, score.ratio, score.nats, score.floor_nats)
        self.evals.append(self.record(made, "  (best so far)" if is_best else ""))
        for name, part in score.parts.items():
            self.record(SourceEval(step, name, part.loss, part.bits_per_byte, part.ratio), f"  ({name})")
        if self.ranks.is_first and self._saves_at(step):  # the best of the checkpoints that exist
            try:
                saved = self.store.best()
            except OSError as error:
                self.display.warn(f"the record of the best checkpoint cannot be read, and stays unchanged: {error}")
                return
            if comparable(score.loss) < comparable(saved.loss if saved else None):
                self.store.mark_best(step, score.loss)

    def answer_hellaswag(self) -> None:
        """Answer HellaSwag's questions, record and show the accuracy."""
        if self.hellaswag is None:
            return
        with self._whole_model() as model:
            score = self.hellaswag.score(model, self.ranks, lambda: self.stop.requested)
        if score is not None:
            self.record(HellaSwagRecord(self.progress.step, **score._asdict()))

    def record(self, record: R, note: str = "") -> R:
        """Write a record, send it to the loggers, show it, and return it with its time."""
        made = self.folder.record(record)
        self.display.record(made, note)
        return made

    def _saves_at(self, step: int) -> bool:
        every = self.config.run.checkpoint_every
        return step == self.config.steps or bool(step and every and step % every == 0)

    def sample(self, count: int) -> None:
        """Draw, record and show samples; the other ranks wait at the next step."""
        if not count:
            return
        step, run = self.progress.step, self.config.run
        with self._whole_model(needed=self.ranks.is_first) as model:
            if not self.ranks.is_first:
                return
            try:
                self.samples = draw_samples(
                    model,
                    self.corpus,
                    count,
                    max_tokens=run.sample_tokens,
                    temperature=run.temperature,
                    top_p=run.top_p,
                    seed=step,
                    should_stop=lambda: self.stop.requested,
                )
            except NonFiniteLogitsError as error:  # the next steps and the next save decide whether the run must end
                self.display.warn(f"no samples at step {step}: {error}")
                return
        for sample in self.samples:
            self.folder.record(SampleRecord(step, **sample._asdict()))
        self.display.samples(step, self.samples)

    @contextmanager
    def _whole_model(self, needed: bool = True) -> Iterator[GPT]:
        """Context for evaluation and sampling: the uncompiled model without compiled backends, outside of the training
        time.
        """
        with self.parallel.whole(needed) as model, use_backend(self.eval_choice), self.parallel.autocast():
            model.eval()
            try:
                yield model
            finally:
                model.train()
        self.interval_start = time.perf_counter()

    def _note_skip(self, step: int, loss: float, norm: float) -> None:
        config = self.config
        ids = self.corpus.train.batch_ids(config.data.seed, step - 1, config.batch_size).tolist()
        self.progress.skipped.append(step)
        places = "; ".join(self.corpus.train.where(sample) for sample in ids[:8])
        message = f"step {step} skipped: loss {loss}, gradient norm {norm}. Samples {ids}: {places}"
        self.folder.record(Event(step, message))
        self.display.warn(message)
        recent = [skipped for skipped in self.progress.skipped if skipped > step - SKIP_WINDOW]
        if len(recent) > SKIP_BUDGET:
            raise TooManySkippedStepsError(
                f"{len(recent)} of the last {SKIP_WINDOW} steps had a loss or gradient that is not finite (steps {recent}); "
                f"more than {SKIP_BUDGET} end the run. Lower the learning rate, or look at the samples."
            )
