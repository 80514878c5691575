"""The checkpoint store of a run: asynchronous saves, rotation, and loading after a failure."""

import contextlib
import json
import logging
import secrets
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from gpt_from_scratch.models.checkpoints import checkpoint
from gpt_from_scratch.models.checkpoints.checkpoint import Checkpoint, DamagedCheckpointError
from gpt_from_scratch.models.gpt import GPTConfig
from gpt_from_scratch.support.command_line.described import build
from gpt_from_scratch.support.storage.files import ensure_folder, remove, rename, retried, sync_folder, write_text
from gpt_from_scratch.support.storage.json_text import json_text
from gpt_from_scratch.support.units import exact_size
from gpt_from_scratch.tokenizer.protocol import Tokenizer
from gpt_from_scratch.training.checkpoints.space import PartError, bytes_of, free_bytes, is_disk_full
from gpt_from_scratch.training.checkpoints.staging import NonFiniteError, Staging, require_finite
from gpt_from_scratch.training.checkpoints.tidying import clean_up, path_of, rotate, steps_in
from gpt_from_scratch.training.ranks.process_group import ONE_RANK, Ranks

BEST_FILE = "best.json"


class UnsavedError(RuntimeError):
    """The last checkpoint of a run could not be written, even after a retry."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Best:
    """The checkpoint with the lowest validation loss so far."""

    step: int
    loss: float


class CheckpointStore:
    """The checkpoints in one folder, `step-00000100/` and so on. One process of a run saves; any may load.

    A checkpoint is written into a hidden folder and renamed when everything is on the disk. So a folder named `step-…` is
    always complete, even if the process is killed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep_last: int = 2,
        keep_every: int = 0,
        warn: Callable[[str], None] = _log.warning,
    ) -> None:
        """
        Args:
            folder: created at the first save.
            keep_last: number of newest checkpoints to keep (at least 1); the best one is always kept.
            keep_every: checkpoints at multiples of this step are kept permanently; 0 is none.
            warn: called with messages about damage, a full disk, and folders that are set aside; may be called from the
                writer thread.
        """
        if keep_last < 1 or keep_every < 0:
            raise ValueError(
                f"keep_last is {keep_last} and keep_every {keep_every}: keep_last must be at least 1, keep_every 0 or more"
            )
        self.folder = folder
        self.keep_last = keep_last
        self.keep_every = keep_every
        self._warn = warn
        self._staging = (Staging(), Staging())
        self._running: Future[None] | None = None
        self._told_of_lack = False
        self._position: int | None = None  # the step last saved or loaded: later checkpoints do not belong to this run
        self.unsaved: int | None = None
        """The step whose checkpoint could not be written, if it was the last one requested; see `why_unsaved`."""
        self.why_unsaved = ""

    def steps(self) -> list[int]:
        """Steps that have a checkpoint, ascending."""
        return steps_in(self.folder)

    def path_of(self, step: int) -> Path:
        """Path of a step's checkpoint, whether it exists or not."""
        return path_of(self.folder, step)

    def save(
        self,
        step: int,
        *,
        config: GPTConfig,
        weights: Mapping[str, Tensor],
        tokenizer: Tokenizer,
        tensors: Mapping[str, Tensor],
        state: Mapping[str, Any],
        card: str | None = None,
        adapter: str | None = None,
        wait: bool = True,
        ranks: Ranks = ONE_RANK,
    ) -> None:
        """Save everything that an exact resume needs; do nothing if this step is saved already.

        A disk that is full or fails, also at the retry, is no error: `warn` is called, the partial folder is removed, the
            last good checkpoint stays, and `unsaved` is this step until a save succeeds.

        Args:
            config, weights: the model, as `model.config` and `model.state_dict()`.
            tensors: the optimizer state and all other tensors, by name.
            state: everything else, as JSON values (the step, the sampler, the run's config, …).
            card: the model card, in Markdown.
            adapter: the config of an adaptation, whose tensors are named "adapter.…".
            wait: if False, return after a copy in memory; a thread writes, and the next call of `save`, `mark_best` or
                `finish` raises its failure. A save that is still running is waited for first.
            ranks: more than one if all ranks call this together, each with its part of weights and tensors
                (`parts.own_part`); the state is rank 0's.

        Raises:
            NonFiniteError: a tensor holds NaN or infinity; nothing is saved.
            ValueError: the state is not JSON, a tensor is sharded, or the step is before the last one.
        """
        text = checkpoint.state_text(state)
        if sharded := [name for group in (weights, tensors) for name, t in group.items() if hasattr(t, "full_tensor")]:
            raise ValueError(f"{sharded[0]} is sharded: pass parts.own_part of the tensors on every rank, and ranks")
        self._settle()
        if self._position is not None and step < self._position:
            raise ValueError(f"step {step} cannot be saved after step {self._position}: steps only go up")
        token = ranks.agree("" if step == self._position else secrets.token_hex(4))
        if not token:
            return
        if wait:
            copies = [{name: tensor.detach().cpu() for name, tensor in group.items()} for group in (weights, tensors)]
        else:
            copies = [staging.copy(group) for staging, group in zip(self._staging, (weights, tensors), strict=True)]
        temporary = self.folder / f".step-{step:08d}.{token}.tmp"
        if ranks.is_first:
            self._running = _in_a_thread(
                self._write, temporary, step, config, copies[0], tokenizer, copies[1], text, card, adapter, ranks
            )
        else:
            self._running = _in_a_thread(self._write_part, temporary, config, copies[0], copies[1], ranks)
        if wait:
            self._settle()

    def finish(self) -> None:
        """Wait for a running save, and raise its error if it failed."""
        self._settle()

    def require_saved(self) -> None:
        """Raise UnsavedError, which says what to do, if the last checkpoint could not be written."""
        if self.unsaved is not None:
            last = (
                "there is none before it"
                if self._position is None
                else f"the last one there is of step {self._position}"
            )
            raise UnsavedError(
                f"the checkpoint of step {self.unsaved}, the run's last, could not be written in {self.folder}; {last}. Mend "
                "the disk or make room, then let the run go on with --resume"
            )

    def load(self, step: int | None = None, map_location: str | torch.device = "cpu") -> Checkpoint | None:
        """Load the newest complete checkpoint, or that of `step`; None if the folder has none at all.

        Every file is checked by its SHA-256. A damaged checkpoint is reported to `warn`, file by file, and the one before
        it is used; an explicit `step` is never replaced by another. Checkpoints after the loaded step are renamed to
        `aside-step-…` by the next save.

        Raises:
            FileNotFoundError: there is no checkpoint of `step`.
            DamagedCheckpointError: it is damaged; or, without `step`, all are.
        """
        self._settle()
        steps = self.steps()
        if step is not None:
            if step not in steps:
                raise FileNotFoundError(f"{self.folder} has no checkpoint of step {step}; it has {steps or 'none'}")
            steps = [step]
        found: list[str] = []
        for candidate in reversed(steps):
            try:
                loaded = checkpoint.read(self.path_of(candidate), candidate, map_location)
            except DamagedCheckpointError as error:
                found.append(str(error))
                if step is None:
                    self._warn(f"the checkpoint of step {candidate} is damaged and skipped:\n{error}")
                continue
            self._position = candidate
            return loaded
        if found:
            raise DamagedCheckpointError(f"no complete checkpoint in {self.folder}:\n" + "\n".join(found))
        return None

    def mark_best(self, step: int, loss: float) -> bool:
        """Record that the checkpoint of `step` has the lowest validation loss, so that rotation keeps it.

        Waits for the save if it is still running. Returns False and changes nothing if there is no checkpoint of this step
        (none was requested, or the disk was full or failed).
        """
        self._settle()
        try:
            if step not in self.steps():
                return False
            write_text(self.folder / BEST_FILE, json_text(asdict(Best(step, loss))) + "\n")
        except OSError as error:
            self._warn(f"{_reason(error)}: {BEST_FILE} could not name step {step}, the best so far (loss {loss:.4f})")
            return False
        return True

    def best(self) -> Best | None:
        """The best checkpoint, as recorded by `mark_best`; None if none was recorded or it no longer exists.

        Raises:
            OSError: the record cannot be read at the moment; it must not be replaced then.
        """
        path = self.folder / BEST_FILE
        try:
            document = json.loads(retried(lambda: path.read_text(encoding="utf-8")))
            best: Best = build(Best, document)
        except FileNotFoundError:
            return None
        except (IsADirectoryError, ValueError, TypeError, RecursionError) as error:
            self._warn(f"{path} is damaged and left out: {error!r}")
            return None
        return best if best.step in self.steps() else None

    def _settle(self) -> None:
        """Wait for the running save, and raise its failure once."""
        if self._running is not None:
            wait_for([self._running])  # after an interrupt here the save is still running and still known
            running, self._running = self._running, None
            running.result()

    def _write(
        self,
        temporary: Path,
        step: int,
        config: GPTConfig,
        weights: dict[str, Tensor],
        tokenizer: Tokenizer,
        tensors: dict[str, Tensor],
        state_text: str,
        card: str | None,
        adapter: str | None,
        ranks: Ranks,
    ) -> None:
        """Write a checkpoint in the writer thread, on the rank that saves, or on rank 0 if all do."""
        require_finite(weights)
        require_finite(tensors)
        try:
            retried(lambda: clean_up(self.folder, temporary, self._position, self._warn))
            ensure_folder(temporary)
            entries = None
            if ranks.size == 1:
                retried(lambda: checkpoint.write_tensors(temporary, config, weights, tensors))
            else:
                from gpt_from_scratch.training.checkpoints import parts

                retried(lambda: parts.write_part(temporary, ranks, config, weights, tensors))
                entries = parts.join_parts(temporary, ranks, config)
            files = partial(checkpoint.complete, temporary, step, tokenizer, state_text, config=config, card=card)
            lack = retried(lambda: files(adapter=adapter, known=entries))
            rename(temporary, self.path_of(step))
        except (OSError, SafetensorError, PartError) as error:
            if isinstance(error, PartError) and not error.disk:
                raise
            with contextlib.suppress(OSError):  # first, so that the message shows the free space without it
                remove(temporary)
            needed = ranks.size * bytes_of([*weights.values(), *tensors.values()])  # the parts have about the same size
            self.unsaved, self.why_unsaved = step, self._told_unsaved(step, needed, error)
            self._warn(self.why_unsaved)
            return
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self._position, self.unsaved = step, None
        if lack is not None and not self._told_of_lack:
            self._told_of_lack = True
            self._warn(
                f"the checkpoints' model/ has no tokenizer.json, so only this project can open its tokenizer: {lack}"
            )
        try:
            sync_folder(self.folder)
            best = self.best()
            kept = None if best is None else best.step
            rotate(self.folder, self.steps(), kept, self.keep_last, self.keep_every)
        except OSError as error:
            self._warn(f"{_reason(error)}: step {step} is saved, but older checkpoints stay in {self.folder} for now")

    def _told_unsaved(self, step: int, n_bytes: int, error: Exception) -> str:
        """Warn that a checkpoint could not be written."""
        room = ""
        if is_disk_full(error):
            room = f" needs more than {exact_size(n_bytes)} in {self.folder}"
            with contextlib.suppress(OSError):  # the folder itself may have failed
                room += f", and {exact_size(free_bytes(self.folder))} are free there"
        else:
            room = f" could not be written in {self.folder}"
        return (
            f"{_reason(error)}: the checkpoint of step {step}{room}. The run continues without it; the last good checkpoint "
            f"is {'none yet' if self._position is None else f'that of step {self._position}'}."
        )

    def _write_part(
        self,
        temporary: Path,
        config: GPTConfig,
        weights: dict[str, Tensor],
        tensors: dict[str, Tensor],
        ranks: Ranks,
    ) -> None:
        """Write the part of a rank other than 0, in its writer thread. A failure is reported to rank 0, which raises it."""
        from gpt_from_scratch.training.checkpoints import parts

        try:
            ensure_folder(temporary)  # first, since the report needs space, too
            require_finite(weights)
            require_finite(tensors)
            retried(lambda: parts.write_part(temporary, ranks, config, weights, tensors))
        except (OSError, SafetensorError, NonFiniteError) as error:
            with contextlib.suppress(OSError):  # if rank 0 gave up first, the folder no longer exists
                disk = not isinstance(error, NonFiniteError)
                parts.write_failure(temporary, ranks, str(error), is_disk_full(error), disk)


def _reason(error: Exception) -> str:
    """Beginning of a message: "the disk is full", or the original error."""
    return "the disk is full" if is_disk_full(error) else f"a file could not be written ({error})"


def _in_a_thread(function: Callable[..., None], *arguments: Any) -> Future[None]:
    """Run a save in a thread of its own, which ends with the save.

    A permanent thread would keep its OpenMP team. With more such threads than cores, libgomp lets all of them sleep at
    every barrier, and small training steps took twice as long (measured, benchmarks/LOG.md).
    """
    writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
    running = writer.submit(function, *arguments)
    writer.shutdown(wait=False)
    return running
