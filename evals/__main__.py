"""python -m gpt_from_scratch.evals COMMAND: each command lives in its own module, imported only when it is asked for."""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command import run_command

    run_command("evals", "gpt_from_scratch.evals.__main__:main")


import difflib
import importlib
import sys

COMMANDS = {
    "arithmetic": "gpt_from_scratch.evals.arithmetic_eval.command:main",
    "compare": "gpt_from_scratch.evals.compare:main",
    "hellaswag": "gpt_from_scratch.evals.lm.commands:hellaswag",
    "core": "gpt_from_scratch.evals.lm.commands:core",
    "bits-per-byte": "gpt_from_scratch.evals.lm.commands:bits_per_byte",
    "serve": "gpt_from_scratch.evals.serve.__main__:main",
    "sad": "gpt_from_scratch.evals.sad:main",
}
"""Command to "module:function"; the function takes the arguments after the command and returns the exit code."""

HELP = {
    "arithmetic": "ask a model for the values of expressions, and draw accuracy by depth and length",
    "compare": "the paired difference of two runs over the same samples",
    "hellaswag": "HellaSwag of a checkpoint, in both public styles and all four norms",
    "core": "the CORE metric of a checkpoint",
    "bits-per-byte": "bits per byte of a checkpoint on a text",
    "serve": "an OpenAI-compatible server for a checkpoint",
    "sad": "the Situational Awareness Dataset, from your own clone of it",
}


def usage() -> str:
    """What --help prints."""
    listing = "\n".join(f"  {name:<14} {HELP[name]}" for name in COMMANDS)
    return f"usage: gpt eval COMMAND ...\n\n{listing}\n\ngpt eval COMMAND --help tells more."


def main(argv: list[str]) -> int:
    """Run the command that `argv` begins with; its exit code.

    Raises:
        ValueError: there is no such command.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(usage(), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    name, *arguments = argv
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there is no command {name!r}.{hint} The commands are: {', '.join(COMMANDS)}")
    module, function = COMMANDS[name].split(":")
    code: int = getattr(importlib.import_module(module), function)(arguments)
    return code
