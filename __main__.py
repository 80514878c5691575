"""`gpt`: one command for everything. `python -m gpt_from_scratch` is the same.

Each command is imported only when it is asked for, so that `gpt --help` answers at once.
"""

import sys
from typing import NamedTuple

from gpt_from_scratch.support.command_line.command import MISTAKE, run_command


class Command(NamedTuple):
    """What a command is for, and the function that takes its words."""

    about: str
    target: str


_TRAINING, _EVALS = "gpt_from_scratch.training", "gpt_from_scratch.evals"
GROUPS: dict[str, dict[str, Command]] = {
    "Learn": {
        "train": Command("train a GPT and watch it learn", f"{_TRAINING}.launch:main"),
        "prepare": Command("make token shards of your own text or a data set", f"{_TRAINING}.prepare:main"),
        "stories": Command("print training stories, or check their grammar", f"{_TRAINING}.data.stories.__main__:main"),
        "learn bigram": Command("from a bigram to a GPT in nine stages", f"{_TRAINING}.commands.bigram:main"),
        "learn dictionary": Command("find a known dictionary by K-SVD", f"{_TRAINING}.commands.dictionary:main"),
        "learn features": Command(
            "a sparse autoencoder of a model's activations", f"{_TRAINING}.commands.features:main"
        ),
    },
    "Use": {
        "generate": Command("let a trained model write", f"{_TRAINING}.commands.generate:main"),
        "export": Command(
            "a model for transformers or llama.cpp, or its tokenizer for tiktoken", f"{_TRAINING}.commands.export:main"
        ),
        "import": Command("bring in a GPT-2 or a model of the Llama family", f"{_TRAINING}.commands.import_model:main"),
        "push": Command("put a model on the Hugging Face hub", f"{_TRAINING}.commands.push_model:main"),
        "serve": Command("serve a model by OpenAI's protocol", f"{_EVALS}.serve.__main__:main"),
        "tokenizer": Command(
            "train, show, compare and convert tokenizers", "gpt_from_scratch.tokenizer.command_line:main"
        ),
    },
    "Judge": {
        "report": Command("draw a run's report, or compare runs", f"{_TRAINING}.commands.report:main"),
        "attention": Command("draw where each head looks", f"{_TRAINING}.commands.attention:main"),
        "eval": Command("score a checkpoint, or ask a model questions", f"{_EVALS}.__main__:main"),
        "compare": Command("the paired difference of two evals", f"{_EVALS}.results.compare:main"),
    },
    "Look inside": {
        "kernels": Command("every op and backend: usable here, or why not", "gpt_from_scratch.kernels.__main__:main"),
        "bench": Command("the kernels side by side on this machine", f"{_TRAINING}.launch:bench"),
        "doctor": Command(
            "what this machine has, and what to do about each lack", "gpt_from_scratch.support.command_line.doctor:main"
        ),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}
EXAMPLES = (
    ("train", "a GPT learns little stories, in two minutes on a laptop"),
    ("train --data my_texts/", "the same on your own text"),
    ('generate runs/NAME --prompt "Once upon a time"', "let it write"),
    ("eval bits-per-byte runs/NAME --data text.txt", "score it"),
)


def usage() -> str:
    """What `gpt --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [
        "usage: gpt COMMAND ...",
        "",
        "A GPT training system in which every fast kernel is proven equal to a plain one.",
    ]
    for title, group in GROUPS.items():
        lines += ["", title, *(f"  {name:<{width}}  {command.about}" for name, command in group.items())]
    longest = max(len(example) for example, _ in EXAMPLES)
    lines += ["", "Examples", *(f"  gpt {example:<{longest}}  # {what}" for example, what in EXAMPLES)]
    return "\n".join([*lines, "", "gpt COMMAND --help tells more."])


def chosen(words: list[str]) -> tuple[str, list[str]]:
    """The command that the words begin with, and the words that are its own.

    Raises:
        ValueError: there is no such command.
    """
    for length in (2, 1):
        if (name := " ".join(words[:length])) in COMMANDS and len(words) >= length:
            return name, words[length:]
    from difflib import get_close_matches  # these two only where they are needed: Ctrl-C is caught the sooner

    from gpt_from_scratch.support.command_line.invocation import gpt

    first = words[0] if words else ""
    under = [name for name in COMMANDS if name.startswith(f"{first} ")]
    if under:
        raise ValueError(f"gpt {first} needs one more word:\n{', '.join(gpt(*name.split()) for name in under)}")
    near = get_close_matches(first, COMMANDS, n=1)
    hint = f" Did you mean {gpt(*near[0].split())}?" if near else ""
    raise ValueError(f"there is no command {first!r}.{hint}\n{gpt('--help')} lists all of them")


def answer(words: list[str]) -> int:
    """What is asked of `gpt` itself: its help, its version, or why words name no command, as a ValueError."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else MISTAKE
    if words[0] in ("-V", "--version"):
        from importlib.metadata import version

        from gpt_from_scratch.support.command_line.invocation import DISTRIBUTION

        print(f"gpt ({DISTRIBUTION}) {version(DISTRIBUTION)}")
        return 0
    chosen(words)
    return 0


def main() -> None:
    """The console script: run the command that the words of the command line name."""
    words = sys.argv[1:]
    try:
        name, rest = chosen(words)
    except ValueError:
        run_command("gpt", f"{__name__}:answer")
    sys.argv = [f"gpt {name}", *rest]
    run_command(f"gpt {name}", COMMANDS[name].target)


if __name__ == "__main__":
    main()
