"""The command `gpt`, with all subcommands. `python -m gpt_from_scratch` is the same.

Each subcommand is imported on demand, so that `gpt --help` is fast.
"""

import sys
from typing import NamedTuple

from gpt_from_scratch.support.command_line.command import MISTAKE, run_command


class Command(NamedTuple):
    """A subcommand: its description, and the function that takes its arguments."""

    about: str
    target: str


_TRAINING, _EVALS = "gpt_from_scratch.training", "gpt_from_scratch.evals"
GROUPS: dict[str, dict[str, Command]] = {
    "Train": {
        "train": Command("train a GPT", f"{_TRAINING}.launch:main"),
        "prepare": Command("tokenize your own text or a data set into shards", f"{_TRAINING}.prepare:main"),
        "stories": Command(
            "print generated stories, or check their grammar", f"{_TRAINING}.data.stories.__main__:main"
        ),
        "learn bigram": Command(
            "train character models, from a bigram table to a GPT in nine stages", f"{_TRAINING}.commands.bigram:main"
        ),
        "learn dictionary": Command("learn a dictionary with K-SVD", f"{_TRAINING}.commands.dictionary:main"),
        "learn features": Command(
            "learn a sparse autoencoder from a model's activations", f"{_TRAINING}.commands.features:main"
        ),
    },
    "Use": {
        "generate": Command("generate text with a trained model", f"{_TRAINING}.commands.generate:main"),
        "chat": Command("chat with a model trained on conversations", f"{_TRAINING}.commands.chat:main"),
        "export": Command(
            "export a model for transformers or llama.cpp, or its tokenizer for tiktoken",
            f"{_TRAINING}.commands.export:main",
        ),
        "import": Command("import a GPT-2 or a model of the Llama family", f"{_TRAINING}.commands.import_model:main"),
        "push": Command("upload a model to the Hugging Face hub", f"{_TRAINING}.commands.push_model:main"),
        "serve": Command("serve a model with an OpenAI-compatible API", f"{_EVALS}.serve.__main__:main"),
        "tokenizer": Command(
            "train, show, compare and convert tokenizers", "gpt_from_scratch.tokenizer.command_line:main"
        ),
    },
    "Evaluate": {
        "report": Command("write a run's report, or compare runs", f"{_TRAINING}.commands.report:main"),
        "attention": Command("draw attention maps", f"{_TRAINING}.commands.attention:main"),
        "eval": Command("score a checkpoint, or ask a model questions", f"{_EVALS}.__main__:main"),
        "compare": Command("compare two eval runs", f"{_EVALS}.results.compare:main"),
    },
    "System": {
        "kernels": Command(
            "list ops and backends, with the reason if one cannot run here", "gpt_from_scratch.kernels.__main__:main"
        ),
        "bench": Command("benchmark the kernels on this machine", f"{_TRAINING}.launch:bench"),
        "doctor": Command(
            "check this machine, and what to install", "gpt_from_scratch.support.command_line.doctor:main"
        ),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}
EXAMPLES = (
    ("train", "train a GPT on short stories: two minutes on a laptop"),
    ("train --data my_texts/", "the same on your own text"),
    ('generate runs/NAME --prompt "Once upon a time"', "generate text"),
    ("eval bits-per-byte runs/NAME --data text.txt", "score it"),
)


def usage() -> str:
    """The text of `gpt --help`."""
    width = max(map(len, COMMANDS))
    lines = [
        "usage: gpt COMMAND ...",
        "",
        "A GPT training system in which every fast kernel is proven equal to a plain reference.",
    ]
    for title, group in GROUPS.items():
        lines += ["", title, *(f"  {name:<{width}}  {command.about}" for name, command in group.items())]
    longest = max(len(example) for example, _ in EXAMPLES)
    lines += ["", "Examples", *(f"  gpt {example:<{longest}}  # {what}" for example, what in EXAMPLES)]
    return "\n".join([*lines, "", "gpt COMMAND --help shows its options."])


def chosen(words: list[str]) -> tuple[str, list[str]]:
    """Split the arguments into the subcommand and its arguments.

    Raises:
        ValueError: there is no such command.
    """
    for length in (2, 1):
        if (name := " ".join(words[:length])) in COMMANDS and len(words) >= length:
            return name, words[length:]
    from difflib import get_close_matches  # imported here, so that Ctrl-C is handled as early as possible

    from gpt_from_scratch.support.command_line.invocation import gpt

    first = words[0] if words else ""
    under = [name for name in COMMANDS if name.startswith(f"{first} ")]
    if under:
        raise ValueError(f"gpt {first} needs a subcommand:\n{', '.join(gpt(*name.split()) for name in under)}")
    near = get_close_matches(first, COMMANDS, n=1)
    hint = f" Did you mean {gpt(*near[0].split())}?" if near else ""
    raise ValueError(f"there is no command {first!r}.{hint}\n{gpt('--help')} lists all of them")


def answer(words: list[str]) -> int:
    """Handle `gpt` without a subcommand: help, version, or a ValueError for an unknown command."""
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
    """Entry point of the console script: run the subcommand of the command line."""
    words = sys.argv[1:]
    try:
        name, rest = chosen(words)
    except ValueError:
        run_command("gpt", f"{__name__}:answer")
    sys.argv = [f"gpt {name}", *rest]
    run_command(f"gpt {name}", COMMANDS[name].target)


if __name__ == "__main__":
    main()
