"""Whether a command begins a run or goes on with one, where, and from which checkpoint."""

from pathlib import Path

from gpt_from_scratch.training.checkpoints import Checkpoint, CheckpointStore
from gpt_from_scratch.training.cli import AUTO, Command
from gpt_from_scratch.training.config import differences, from_json
from gpt_from_scratch.training.distributed import Ranks
from gpt_from_scratch.training.run_folder import fresh_folder, is_run, restarted_folder


def place(command: Command, ranks: Ranks, launchers: list[str]) -> tuple[Path, bool]:
    """The run's folder, and whether the run has begun there: --resume says so, or torchrun has restarted its workers.

    Raises:
        FileExistsError: the name that was asked for is taken by another run.
    """
    run = command.train.run
    if command.resume not in (None, AUTO):
        return command.resume, True
    earlier = restarted_folder(run.folder, run.name, launchers)
    if command.resume == AUTO and run.name is not None and is_run(run.folder / run.name):
        earlier = run.folder / run.name
    path = earlier or fresh_folder(run.folder, run.name, command.train.preset)
    agreed, begun = ranks.agree([str(path), (path / "config.json").exists()])
    return Path(agreed), begun


def load_resumed(store: CheckpointStore, command: Command, ranks: Ranks) -> Checkpoint | None:
    """The newest whole checkpoint of the run to go on with, checked against the settings that are asked for.

    None if there is none yet, where the folder was not asked for by name: the run then begins again.

    Raises:
        FileNotFoundError: no run or no checkpoint there; ValueError: damaged, or other settings.
    """
    checkpoint = store.load()
    step = ranks.agree(checkpoint.step if checkpoint else None)
    if step is None and command.resume in (None, AUTO):
        return None
    if checkpoint is None:
        reason = "start it again without --resume" if step is None else "all hosts of a run must see the same folder"
        raise FileNotFoundError(f"{store.folder} has no checkpoint to go on from: {reason}")
    if checkpoint.step != step:
        checkpoint = store.load(step)
        assert checkpoint is not None
    if changed := differences(from_json(checkpoint.state["config"]), command.train):
        raise ValueError(
            f"{checkpoint.folder} belongs to a run with other settings:\n  " + "\n  ".join(changed) + "\n"
            f"Resume without them, or start a new run from its weights: --init-from {checkpoint.folder}"
        )
    return checkpoint
