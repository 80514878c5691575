"""A whole run in this process."""

from gpt_from_scratch.training.ranks.process_group import Ranks
from gpt_from_scratch.training.run.command_line import Command
from gpt_from_scratch.training.run.session import prepared


def train(command: Command, ranks: Ranks) -> bool:
    """Carry a command out on this rank; True when the last step was reached, or nothing was to do."""
    with prepared(command, ranks) as session:
        return session.run()
