"""Print generated stories, or check the corpus.

    gpt stories                            # three stories of the training text
    gpt stories --num 2000 > stories.txt   # a text of 700 kB
    gpt stories --check 10000              # check that each has one derivation; print statistics

A story depends only on its stream and its number.
"""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("stories", "gpt_from_scratch.training.data.stories.__main__:main")


import statistics
import time

from gpt_from_scratch.support.command_line.arguments import ArgumentParser, a_number
from gpt_from_scratch.training.data.stories.corpus import MAX_CHARACTERS, TRAIN_SEED, parse, story
from gpt_from_scratch.training.data.stories.grammar import Derivation


def check(made: list[Derivation]) -> None:
    """Parse every story and print statistics of the corpus.

    Raises:
        SystemExit: a story has no derivation, several, or one with another probability.
    """
    start = time.perf_counter()
    for number, one in enumerate(made):
        ways = parse(one.text)
        if [way.choices for way in ways] != [one.choices] or abs(ways[0].nats - one.nats) > 1e-9:
            raise SystemExit(f"story {number} has {len(ways)} derivations, expected the one that wrote it:\n{one.text}")
    rate = len(made) / (time.perf_counter() - start)
    print(f"{len(made)} stories, each with exactly one derivation ({rate:.0f} parsed a second)")
    print(
        f"a story: {statistics.mean(len(one.text) for one in made):.1f} characters (at most {MAX_CHARACTERS}),", end=" "
    )
    print(f"{statistics.mean(len(one.text.split()) for one in made):.1f} words,", end=" ")
    print(f"{statistics.mean(one.nats for one in made):.2f} nats")
    vocabulary = {word.strip('.,!?"').lower() for one in made for word in one.text.split()}
    print(f"{len(vocabulary)} different words, {len({one.text for one in made})} different stories")


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line; print stories or the check's result."""
    parser = ArgumentParser(prog="gpt stories", description=__doc__)
    parser.add_argument("--seed", type=int, default=TRAIN_SEED, help="the stream: 0 is training, 1 validation")
    parser.add_argument("--first", type=int, default=0, help="number of the first story")
    parser.add_argument("--num", type=a_number(1, 10**7), default=3, help="how many stories to print")
    parser.add_argument("--check", type=a_number(1, 10**7), metavar="N", help="check N stories instead")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    made = [story(options.seed, options.first + number) for number in range(options.check or options.num)]
    seconds = time.perf_counter() - start
    if options.check:
        print(f"{len(made) / seconds:.0f} stories made a second")
        check(made)
    else:
        print("\n\n".join(one.text for one in made))
