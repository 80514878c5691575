"""The command lines of hellaswag, core and bits-per-byte: options and --help, without torch."""

import argparse
from pathlib import Path

from gpt_from_scratch.evals.scoring.choices import BATCH_TOKENS, STYLES
from gpt_from_scratch.support.command_line.arguments import ArgumentParser, a_number, a_path, add_run, the_run
from gpt_from_scratch.support.command_line.command import imported

MANY = 10**7


def hellaswag(argv: list[str]) -> int:
    """Score a model on HellaSwag, in both public styles and all four normalizations.

    gpt eval hellaswag runs/NAME --limit 500
    gpt eval hellaswag gpt2 --dtype bf16         # OpenAI's weights
    """
    parser = _parser("hellaswag", hellaswag.__doc__)
    parser.add_argument("--data", type=a_path, default=Path("data/hellaswag_val.jsonl"), help="default: %(default)s")
    parser.add_argument("--style", choices=[*STYLES, "both"], default="both", help="default: %(default)s")
    parser.add_argument("--limit", type=a_number(1, MANY), help="use only the first N questions")
    return _run("hellaswag", parser, argv)


def core(argv: list[str]) -> int:
    """Score a model on the CORE metric: 22 in-context-learning tasks, with accuracies rescaled so that guessing gives 0.

    gpt eval core runs/NAME --data data/eval_bundle
    gpt eval core runs/NAME --tasks copa piqa --limit 100
    """
    parser = _parser("core", core.__doc__)
    parser.add_argument(
        "--data",
        type=a_path,
        default=Path("data/eval_bundle"),
        help="the bundle, a folder or a zip; default: %(default)s",
    )
    parser.add_argument("--limit", type=a_number(1, MANY), help="use only N items of each task")
    parser.add_argument("--tasks", nargs="+", default=[], metavar="TASK", help="use only these tasks")
    return _run("core", parser, argv)


def bits_per_byte(argv: list[str]) -> int:
    """Measure a model's bits per byte on a text: the loss in a unit that does not depend on the tokenizer.

    gpt eval bits-per-byte runs/NAME --data text.txt
    gpt eval bits-per-byte gpt2 --data text.txt --stride 512
    """
    parser = _parser("bits-per-byte", bits_per_byte.__doc__)
    parser.add_argument(
        "--data", type=a_path, required=True, help="a text file, a folder of .txt files, or a .jsonl file with texts"
    )
    parser.add_argument(
        "--stride", type=a_number(1, MANY), help="tokens scored per window; a smaller number gives more context"
    )
    return _run("bits_per_byte", parser, argv)


def _parser(name: str, description: str | None) -> argparse.ArgumentParser:
    parser = ArgumentParser(prog=f"gpt eval {name}", description=description)
    add_run(parser)
    parser.add_argument("--ema", action="store_true", help="use the moving average of the weights, if the run has one")
    parser.add_argument("--tokenizer", type=a_path, help="the tokenizer's file, if the folder has none")
    parser.add_argument("--device", default="auto", help="default: the accelerator if there is one")
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32", help="default: %(default)s")
    parser.add_argument(
        "--batch-tokens",
        type=a_number(1, MANY),
        default=BATCH_TOKENS,
        help="tokens per forward pass; default: %(default)s",
    )
    parser.add_argument(
        "--out",
        type=a_path,
        help="folder for summary.json, record.jsonl and report.html; default: a new folder in runs/evals",
    )
    return parser


def _run(function: str, parser: argparse.ArgumentParser, argv: list[str]) -> int:
    args = parser.parse_args(argv)
    args.run = the_run(parser, args)
    work = imported(parser.prog, f"gpt_from_scratch.evals.scoring.commands:{function}")
    status: int = work(args)
    return status
