"""python -m gpt_from_scratch.evals arithmetic: the arithmetic eval, with its record, summary, report and heatmap."""

import argparse
import io
import sys
from pathlib import Path

from gpt_from_scratch.evals import results
from gpt_from_scratch.evals.arithmetic_eval.arithmetic_eval import NAMES, default_folder, run_eval
from gpt_from_scratch.evals.limits import Limits
from gpt_from_scratch.evals.pricing import Price
from gpt_from_scratch.evals.provider import Provider
from gpt_from_scratch.evals.providers.openai_provider import OpenAIProvider
from gpt_from_scratch.evals.report import write_report
from gpt_from_scratch.evals.samples import EvalResult
from gpt_from_scratch.support import files
from gpt_from_scratch.support.arguments import ArgumentParser, a_path


def main(argv: list[str]) -> int:
    """0 where every answer is there, 1 where the run stopped early or an answer failed."""
    options = _parser().parse_args(argv)
    folder: Path = options.out or default_folder(options.model, options.max_depth, options.num_problems, options.seed)
    result = run_eval(
        options.model,
        options.max_depth,
        options.num_problems,
        seed=options.seed,
        scorer=options.scorer,
        few_shot=options.few_shot,
        provider=_provider(options.base_url, options.timeout),
        limit=options.limit,
        epochs=options.epochs,
        temperature=options.temperature,
        max_tokens=options.max_tokens,
        max_concurrency=options.max_concurrency,
        max_retries=options.max_retries,
        limits=Limits(tokens=options.max_total_tokens, cost=options.max_cost, seconds=options.max_seconds),
        price=Price(*options.price) if options.price else None,
        cache_dir=options.cache,
        retry_all=options.retry_all,
        resume_path=folder / results.RECORD,
    )
    _write(result, folder)
    _print(result, folder)
    return int(result.stopped is not None or bool(result.errors))


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(
        prog="gpt eval arithmetic",
        description="Ask a model for the values of random expressions. Run it again to go on with a run that stopped: "
        "answers that are recorded are not asked again.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--model", required=True, help="gpt-4o-mini, claude-haiku-4-5, ...; offline: echo, oracle")
    add("--base-url", help="an OpenAI-compatible server that has the model, such as http://127.0.0.1:8000/v1")
    add("--max-depth", type=int, default=10)
    add("--num-problems", type=int, default=1000)
    add("--seed", type=int, default=0, help="of the problems")
    add("--scorer", choices=[*NAMES, "exact", "includes"], default="relative")
    add("--few-shot", type=int, default=0, help="show so many solved problems first")
    add("--limit", type=int, help="ask only the first so many problems")
    add("--epochs", type=int, default=1, help="ask each problem so many times")
    add("--temperature", type=float, default=0.0)
    add("--max-tokens", type=int, default=64, help="of one answer; reasoning models need thousands")
    add("--max-concurrency", type=int, default=16, help="requests in flight, at most")
    add("--max-retries", type=int, default=6, help="of one request")
    add("--timeout", type=float, default=120.0, metavar="SECONDS", help="of one request to a --base-url")
    add("--retry-all", action="store_true", help="ask again also what cannot be sent or is cut by a filter")
    add("--max-cost", type=float, metavar="DOLLARS", help="stop before the run costs more")
    add("--max-total-tokens", type=int, help="stop before the run reads and writes more")
    add("--max-seconds", type=float, help="begin no request after this time")
    add("--price", type=float, nargs=2, metavar=("IN", "OUT"), help="dollars a million tokens, where it is not known")
    add("--cache", type=a_path, help="folder of answers that runs share")
    add("--out", type=a_path, help="folder of this run (default: under runs/evals)")
    return parser


def _provider(base_url: str | None, timeout: float) -> Provider | None:
    return OpenAIProvider(base_url=base_url, timeout=timeout) if base_url else None


def _write(result: EvalResult, folder: Path) -> None:
    """The summary, the heatmap and the report, beside the record."""
    results.write_summary(result, folder)
    figures = []
    if result.accuracy is not None:
        from gpt_from_scratch.evals.arithmetic_eval.visualization import plot_heatmap

        image = io.BytesIO()
        figure = plot_heatmap(results.to_dataframe(result), annotate_counts=True, show=False)
        figure.savefig(image, format="png", dpi=110)
        files.write_bytes(folder / "heatmap.png", image.getvalue())
        figures.append(("average accuracy by depth and length", image.getvalue()))
    write_report(result, folder / "report.html", title=f"Arithmetic: {result.completer}", figures=figures)


def _failures(result: EvalResult) -> str:
    """What failed, and what to do about it."""
    kinds = ", ".join(f"{count} × {kind}" for kind, count in results.error_kinds(result).items())
    lasting = sum(row.permanent for row in result.errors)
    failed = f"{len(result.errors)} answers failed"
    if lasting == len(result.errors):
        return f"{failed} ({kinds}); asking again cannot help, --retry-all does it all the same"
    rest = f", {lasting} of them with --retry-all alone: it cannot help them" if lasting else ""
    return f"{failed}; run the command again to retry them ({kinds}){rest}"


def _print(result: EvalResult, folder: Path) -> None:
    figures = results.summary(result)
    if result.accuracy is not None:
        low, high = figures["interval_95"]
        print(f"score {result.accuracy:.4f}, 95 % interval {low:.4f} to {high:.4f}, of {figures['answered']} answers")
    if figures["unread"]:
        print(
            f"unread answers: {figures['unread']} (no number could be read from them with certainty; they count as wrong)"
        )
    if result.errors:
        print(_failures(result), file=sys.stderr)
    if result.cost:
        print(f"cost ${result.cost:.4f}")
    print(f"report: {folder / 'report.html'}")
