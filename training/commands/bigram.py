"""Train a character model one step up the ladder from a bigram table to a transformer, or the whole ladder.

    gpt learn bigram                           # the small model with everything, on Tiny Shakespeare
    gpt learn bigram --stage head              # a single head of attention, nothing above it
    gpt learn bigram --stage all               # every stage: the table, and ladder.png
    gpt learn bigram --preset large            # a model that is worth reading, 101 core-minutes
    gpt learn bigram --data my.txt             # any UTF-8 text

The first 90 % of the text is for training. The validation loss is that of the whole rest, in nats per character, cut into
windows of the context's size. The weights of the best evaluation are kept, and those of the last one shown beside them.
"""

from rich.console import Console

from gpt_from_scratch.support.command_line.arguments import ArgumentParser, settings
from gpt_from_scratch.support.command_line.command import imported
from gpt_from_scratch.support.command_line.streams import surviving
from gpt_from_scratch.training.bigram.settings import PRESETS, BigramTraining


def parse(arguments: list[str] | None) -> BigramTraining:
    """The preset first, since it sets the defaults of everything else."""
    first = ArgumentParser(add_help=False)
    first.add_argument("--preset", choices=PRESETS, default="small")
    chosen = first.parse_known_args(arguments)[0].preset
    return settings(  # type: ignore[no-any-return]
        BigramTraining, arguments, prog="gpt learn bigram", description=__doc__, default=PRESETS[chosen]
    )


@surviving()
def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and run it."""
    config = parse(arguments)
    imported("gpt learn bigram", "gpt_from_scratch.training.train_bigram:run")(config, Console())
