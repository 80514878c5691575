"""The command line of text evals: shared options, and those of the eval's function."""

import argparse
import importlib
import inspect
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import docstring_parser

from gpt_from_scratch.evals import tasks
from gpt_from_scratch.evals.protocol.limits import Limits
from gpt_from_scratch.evals.protocol.pricing import Price
from gpt_from_scratch.evals.protocol.provider import Provider
from gpt_from_scratch.evals.protocol.samples import EvalResult
from gpt_from_scratch.evals.providers.dispatcher import examples
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
from gpt_from_scratch.evals.results import results
from gpt_from_scratch.evals.results.report import write_report
from gpt_from_scratch.evals.task import Task, folder_of, run_task
from gpt_from_scratch.support.command_line.arguments import ArgumentParser, a_path
from gpt_from_scratch.support.storage import files

COMMON = {"--num-problems": "--num"}
"""Shared names of options, by parameter names."""


def main(name: str, argv: list[str]) -> int:
    """Run a text eval; returns 0 if every question was answered, 1 if the run stopped early or an answer failed."""
    function = task_function(name)
    options = _parser(name, function).parse_args(argv)
    task = function(**{parameter.name: getattr(options, parameter.name) for parameter in _parameters(function)})
    if not task.samples:
        raise ValueError(f"there is no question to ask: {name} made none with these settings")
    folder: Path = options.out or folder_of(name, task, options.model)
    chosen = {} if options.max_tokens is None else {"max_tokens": options.max_tokens}
    result = run_task(
        task,
        options.model,
        _provider(options.base_url, options.timeout),
        limit=options.limit,
        epochs=options.epochs,
        temperature=options.temperature,
        max_concurrency=options.max_concurrency,
        max_retries=options.max_retries,
        limits=Limits(tokens=options.max_total_tokens, cost=options.max_cost, seconds=options.max_seconds),
        price=Price(*options.price) if options.price else None,
        cache_dir=options.cache,
        retry_all=options.retry_all,
        resume_path=folder / results.RECORD,
        **chosen,
    )
    _write(name, task, result, folder)
    _print(result, folder)
    return int(result.stopped is not None or bool(result.errors))


def task_function(name: str) -> Callable[..., Task]:
    """The function of an eval, which has the name of its file.

    Raises:
        TypeError: the file has no such function, or the function does not say that it returns a `Task`.
    """
    module = importlib.import_module(f"{tasks.__name__}.{name}")
    function = getattr(module, name, None)
    if not callable(function) or inspect.signature(function).return_annotation is not Task:
        raise TypeError(f"{module.__file__} must define `def {name}(...) -> Task`")
    made: Callable[..., Task] = function
    return made


def _parser(name: str, function: Callable[..., Task]) -> argparse.ArgumentParser:
    described = docstring_parser.parse(inspect.getdoc(function) or "")
    words = "".join(f"{one.name.upper()} " for one in _parameters(function) if one.default is inspect.Parameter.empty)
    parser = ArgumentParser(
        prog=f"gpt eval {name}",
        description=f"{described.short_description} Give the same command again to continue a stopped run: recorded answers "
        "are not asked again.\n\n"
        f"    gpt eval {name} {words}--model local/runs/NAME --limit 20\n"
        f"    gpt eval {name} {words}--model claude-haiku-4-5 --max-cost 0.50",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    # argparse reads a % as the start of a name of its own.
    about = {parameter.arg_name: (parameter.description or "").replace("%", "%%") for parameter in described.params}
    own = parser.add_argument_group("options of this eval")
    for parameter in _parameters(function):
        _add(own, parameter, about.get(parameter.name))
    add = parser.add_argument_group("options of every eval").add_argument
    add("--model", required=True, help=examples())
    add("--base-url", help="an OpenAI-compatible server that has the model, such as http://127.0.0.1:8000/v1")
    add("--limit", type=int, help="ask only the first N samples")
    add("--epochs", type=int, default=1, help="number of times to ask each sample")
    add("--temperature", type=float, default=0.0, help="sampling temperature; 0 always takes the most likely token")
    add(
        "--max-tokens",
        type=int,
        help="maximum number of tokens per answer; reasoning models need thousands (default: the eval's own)",
    )
    add("--max-concurrency", type=int, default=16, help="maximum number of requests in flight")
    add("--max-retries", type=int, default=6, help="maximum number of retries per request")
    add("--timeout", type=float, default=120.0, metavar="SECONDS", help="timeout of a request to a --base-url")
    add(
        "--retry-all",
        action="store_true",
        help="also retry permanent failures: refused requests (400, 413, 422), filtered answers, unsendable text",
    )
    add("--max-cost", type=float, metavar="DOLLARS", help="stop before the run costs more than this, in US dollars")
    add("--max-total-tokens", type=int, help="stop before the run uses more tokens than this, read and written")
    add("--max-seconds", type=float, help="start no request after this many seconds")
    add(
        "--price",
        type=float,
        nargs=2,
        metavar=("IN", "OUT"),
        help="price in dollars per million tokens, if it is not known",
    )
    add("--cache", type=a_path, help="folder of cached answers, which runs can share")
    add("--out", type=a_path, help="folder of this run (default: under runs/evals)")
    return parser


def _parameters(function: Callable[..., Task]) -> Iterator[inspect.Parameter]:
    yield from inspect.signature(function).parameters.values()


def _add(group: "argparse._ArgumentGroup", parameter: inspect.Parameter, about: str | None) -> None:
    """The option of a parameter; one without a default is a word by itself."""
    kind = parameter.annotation
    settings: dict[str, Any] = {"help": about}
    if typing.get_origin(kind) is Literal:
        settings |= {"choices": typing.get_args(kind)}
    elif kind is bool:
        settings |= {"action": argparse.BooleanOptionalAction}
    else:
        settings |= {"type": a_path if kind is Path else kind}
    if parameter.default is inspect.Parameter.empty:
        group.add_argument(parameter.name, **settings)
    else:
        option = f"--{parameter.name.replace('_', '-')}"
        names = (COMMON[option], option) if option in COMMON else (option,)
        group.add_argument(*names, dest=parameter.name, default=parameter.default, **settings)


def _provider(base_url: str | None, timeout: float) -> Provider | None:
    return OpenAIProvider(base_url=base_url, timeout=timeout) if base_url else None


def _write(name: str, task: Task, result: EvalResult, folder: Path) -> None:
    """The summary, the pictures and the report, beside the record."""
    results.write_summary(result, folder)
    figures = task.figures(result)
    for figure in figures:
        files.write_bytes(folder / figure.name, figure.png)
    title = f"{name.replace('_', ' ').capitalize()}: {result.completer}"
    write_report(result, folder / "report.html", title=title, figures=[(f.title, f.png) for f in figures])


def _failures(result: EvalResult) -> str:
    """Message about failed answers, with advice."""
    kinds = ", ".join(f"{count} × {kind}" for kind, count in results.error_kinds(result).items())
    lasting = sum(row.permanent for row in result.errors)
    failed = f"{len(result.errors)} answers failed"
    if lasting == len(result.errors):
        return f"{failed} ({kinds}); a retry cannot help; --retry-all retries anyway"
    rest = f", {lasting} of them with --retry-all alone: it cannot help them" if lasting else ""
    return f"{failed}; run the command again to retry them ({kinds}){rest}"


def _print(result: EvalResult, folder: Path) -> None:
    figures = results.summary(result)
    if result.accuracy is not None:
        low, high = figures["interval_95"]
        print(f"score {result.accuracy:.4f}, 95 % interval {low:.4f} to {high:.4f}, of {figures['answered']} answers")
    if figures["unread"]:
        print(f"unread answers: {figures['unread']} (ambiguous or without an answer; they count as wrong)")
    if result.errors:
        print(_failures(result), file=sys.stderr)
    if result.cost:
        print(f"cost ${result.cost:.4f}")
    print(f"report: {folder / 'report.html'}")
