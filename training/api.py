"""Training from Python: `train` takes a configuration and returns the run's folder."""

from pathlib import Path

from gpt_from_scratch.training.config import TrainConfig
from gpt_from_scratch.training.ranks.process_group import ONE_RANK
from gpt_from_scratch.training.run.command_line import Command
from gpt_from_scratch.training.run.session import prepared


def train(config: TrainConfig, *, resume: Path | str | None = None) -> Path:
    """Train a run in this process and return its folder. Ctrl-C saves a checkpoint and ends the training early.

    Args:
        config: The settings. `PRESETS["tiny"][1]` has those of a preset; change some with `dataclasses.replace`.
        resume: The folder of an earlier run with these settings. It continues exactly from its newest checkpoint.

    Raises:
        ValueError, OSError, RuntimeError: a setting, the data or the machine is not suitable; the message says what to
            do.
    """
    with prepared(Command(config, resume=None if resume is None else Path(resume)), ONE_RANK) as session:
        session.run()
        assert session.trainer is not None  # only a dry run has none
        return session.trainer.folder.path
