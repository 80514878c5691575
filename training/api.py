"""Training from Python: a configuration in, the folder of a run out."""

from pathlib import Path

from gpt_from_scratch.training.config import TrainConfig
from gpt_from_scratch.training.ranks.process_group import ONE_RANK
from gpt_from_scratch.training.run.command_line import Command
from gpt_from_scratch.training.run.session import prepared


def train(config: TrainConfig, *, resume: Path | str | None = None) -> Path:
    """The folder of a run that was trained in this process to its last step, or to Ctrl-C, which saves.

    Args:
        config: The settings. `PRESETS["tiny"][1]` has those of a preset; `dataclasses.replace` changes some of them.
        resume: The folder of an earlier run with these settings, which goes on exactly where it stood.

    Raises:
        ValueError, OSError, RuntimeError: a setting, the data or the machine is not what it should be; says what to do.
    """
    with prepared(Command(config, resume=None if resume is None else Path(resume)), ONE_RANK) as session:
        session.run()
        assert session.trainer is not None  # only a dry run has none
        return session.trainer.folder.path
