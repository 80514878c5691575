"""Start or resume of a run: its folder, its checkpoint, and the restored state."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from gpt_from_scratch.models.checkpoints.averaged import AVERAGE
from gpt_from_scratch.support.command_line.described import shown
from gpt_from_scratch.support.storage.lock import LOCK_FILE, locked
from gpt_from_scratch.training.checkpoints import Checkpoint, CheckpointStore
from gpt_from_scratch.training.config import TrainConfig, differences
from gpt_from_scratch.training.data.corpus import Corpus
from gpt_from_scratch.training.optim.optimizers import load_optimizer_tensors
from gpt_from_scratch.training.optim.weight_average import WeightAverage
from gpt_from_scratch.training.ranks.process_group import Ranks, launcher
from gpt_from_scratch.training.run.command_line import AUTO, Command
from gpt_from_scratch.training.run.context import Place, Progress
from gpt_from_scratch.training.run.folder import is_run, make_folder, require_empty, restarted_folder


@contextlib.contextmanager
def placed(command: Command, ranks: Ranks) -> Iterator[Place]:
    """Context with the run's folder, created if it is new, and locked. Rank 0 does both and informs the others.

    Raises:
        FileExistsError: the given name is taken by another run.
        HeldError: another process writes there.
        ValueError, OSError: the folder is not writable, or the lock's path is a link.
    """
    launchers = tuple(sorted({name for name in ranks.gather(launcher()) if name is not None}))
    with contextlib.ExitStack() as stack:
        failure: Exception | None = None
        found: list[object] = []
        if ranks.is_first:
            try:
                path, begun = stack.enter_context(_own_folder(command, launchers))
                found = [str(path), begun]
            except (OSError, ValueError, RuntimeError) as error:
                failure = error
        told = ranks.agree([found, None if failure is None else str(failure)])
        if failure is not None:
            raise failure
        if told[1] is not None:
            raise RuntimeError(told[1])
        yield Place(Path(told[0][0]), told[0][1], launchers)


@contextlib.contextmanager
def _own_folder(command: Command, launchers: Sequence[str]) -> Iterator[tuple[Path, bool]]:
    """On rank 0: context with the locked folder, and whether a run has begun there."""
    run = command.train.run
    path, made = command.resume, False
    if command.resume in (None, AUTO):
        path = restarted_folder(run.folder, run.name, launchers)
        if command.resume == AUTO and run.name is not None and is_run(run.folder / run.name):
            path = run.folder / run.name
        made = path is None
    with contextlib.ExitStack() as stack:
        if path is None:
            path = make_folder(run.folder, run.name, command.train.preset)
            stack.callback(_remove_if_empty, path)  # find mistakes before anything is written
        if not path.is_dir():
            raise FileNotFoundError(f"{path} is not a run's folder: --resume takes one that `gpt train` has written")
        what, instead = f"another process is training in {path}", "give another --run.name"
        # A process of the same torchrun's last attempt is about to end, perhaps on another host; torchrun makes sure.
        stack.enter_context(
            locked(path / LOCK_FILE, what, instead, family=launchers, patience=command.train.run.patience)
        )
        if made:
            require_empty(path)
        yield path, command.resume not in (None, AUTO) or (path / "config.json").exists()


def _remove_if_empty(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.rmdir()


def load_resumed(store: CheckpointStore, command: Command, ranks: Ranks) -> Checkpoint | None:
    """Load the newest complete checkpoint of the run to resume, and compare it with the current settings.

    None if there is none and the folder was not given explicitly: the run then starts from the beginning.

    Raises:
        FileNotFoundError: there is no run or no checkpoint. ValueError: it is damaged, or the settings differ.
    """
    checkpoint = store.load()
    step = ranks.agree(checkpoint.step if checkpoint else None)
    if step is None and command.resume in (None, AUTO):
        return None
    if checkpoint is None:
        reason = "start it without --resume" if step is None else "all hosts of a run must see the same folder"
        raise FileNotFoundError(f"{store.folder} has no checkpoint to resume from: {reason}")
    if checkpoint.step != step:
        checkpoint = store.load(step)
        assert checkpoint is not None
    if changed := differences(checkpoint.part("config", TrainConfig), command.train):
        raise ValueError(
            f"{checkpoint.folder} belongs to a run with other settings:\n  " + "\n  ".join(changed) + "\n"
            f"Resume without them, or start a new run from its weights: --init-from {checkpoint.folder}"
        )
    return checkpoint


def restore(
    checkpoint: Checkpoint,
    corpus: Corpus,
    optimizers: list[torch.optim.Optimizer],
    average: WeightAverage | None = None,
) -> Progress:
    """Restore the optimizers, the averaged weights and the random-number generators, and return the run's progress.

    Raises:
        ValueError: the data differs from the checkpoint's, or the state does not match.
    """
    # Older releases recorded fewer properties of the data: compare those that are there.
    saved, now = checkpoint.part("data", dict[str, Any]), corpus.fingerprint
    if changed := [name for name, noted in saved.items() if now.get(name) != noted]:
        what = "; ".join(f"{name} was {shown(saved[name])}, is {shown(now.get(name))}" for name in changed)
        raise ValueError(
            f"the data has changed since {checkpoint.folder} was saved: {what}.\n"
            f"Restore the old data, or start a new run from the weights: --init-from {checkpoint.folder}"
        )
    load_optimizer_tensors(optimizers, checkpoint.tensors_of("optimizer."))
    if average is not None:
        average.load(checkpoint.tensors_of(AVERAGE))
    progress: Progress = checkpoint.part("progress", Progress)
    try:
        torch.set_rng_state(checkpoint.tensors["rng.cpu"])
    except (KeyError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"{checkpoint.folder} holds an invalid state of the random-number generators: {error!r}"
        ) from error
    return progress
