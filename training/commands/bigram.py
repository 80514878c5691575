"""Train one stage of the bigram course, from a bigram table to a GPT, or all stages.

    gpt learn bigram                           # the small model of the last stage, on Tiny Shakespeare
    gpt learn bigram --stage head              # the stage with a single attention head
    gpt learn bigram --stage all               # every stage, with a table and ladder.png
    gpt learn bigram --preset large            # a model that writes readable text, 101 core-minutes
    gpt learn bigram --data my.txt             # any UTF-8 text

The first 90 % of the text is for training. The validation loss is measured on all of the rest, in nats per character,
in windows of the context's length. The weights with the best validation loss are saved; samples are shown from the best
and from the last weights.
"""

from rich.console import Console

from gpt_from_scratch.support.command_line.arguments import ArgumentParser, settings
from gpt_from_scratch.support.command_line.command import imported
from gpt_from_scratch.support.command_line.streams import surviving
from gpt_from_scratch.training.bigram.settings import PRESETS, BigramTraining


def parse(arguments: list[str] | None) -> BigramTraining:
    """Parse the preset first, since it sets the defaults of all other options."""
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
