"""The commands hellaswag, core and bits-per-byte. Under torchrun every rank takes its share."""

import argparse
import contextlib
import dataclasses
import datetime
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from gpt_from_scratch.evals.scoring.bits_per_byte import evaluate_bits_per_byte, read_documents
from gpt_from_scratch.evals.scoring.core import Core, evaluate_core
from gpt_from_scratch.evals.scoring.hellaswag import STYLES, HellaSwagResult, evaluate_hellaswag
from gpt_from_scratch.models.checkpoints.opening import OpenedModel, open_model
from gpt_from_scratch.support.command_line.invocation import how_to_install
from gpt_from_scratch.support.process_groups import ranks
from gpt_from_scratch.support.storage.files import new_folder, require_folder, write_text
from gpt_from_scratch.support.storage.json_text import json_text

EVALS = Path("runs/evals")
"""Default parent folder of the results; each run gets its own folder."""


def hellaswag(args: argparse.Namespace) -> int:
    """Score HellaSwag, print it, write it."""
    with _opened("hellaswag", args) as run:
        styles = STYLES if args.style == "both" else (args.style,)
        result = evaluate_hellaswag(
            run.checkpoint.model,
            run.checkpoint.tokenizer,
            args.data,
            styles=styles,
            limit=args.limit,
            batch_tokens=args.batch_tokens,
            progress=run.progress,
        )
        figures: dict[str, Any] = {}
        lines = [f"{'':<28}{'accuracy':>10}  95 % interval"]
        for name, accuracy in result.accuracies().items():
            low, high = accuracy.interval
            figures[name] = {"value": accuracy.value, "interval": [low, high], "n": accuracy.n}
            lines.append(f"{name:<28}{accuracy.value:>10.4f}  {low:.4f} to {high:.4f}")
        run.finish(figures, lines)
        if run.reports:
            print(_pages(result, run))
    return 0


def core(args: argparse.Namespace) -> int:
    """Score CORE, print it, write it."""
    with _opened("core", args) as run:
        result = evaluate_core(
            run.checkpoint.model,
            run.checkpoint.tokenizer,
            args.data,
            limit=args.limit,
            only=args.tasks,
            batch_tokens=args.batch_tokens,
            progress=lambda task, done, total: run.progress(done, total, task),
        )
        lines = [f"{'':<34}{'accuracy':>10}{'centred':>10}  95 % interval of the accuracy (of the mean, at the end)"]
        tasks = {}
        for task in result.tasks:
            low, high = task.interval
            tasks[task.task.label] = {
                "accuracy": task.accuracy,
                "centred": task.centred,
                "interval": [low, high],
                "n": task.n,
                "baseline": task.task.baseline,
            }
            lines.append(f"{task.task.label:<34}{task.accuracy:>10.4f}{task.centred:>10.4f}  {low:.4f} to {high:.4f}")
        low, high = result.interval
        name = "CORE" if not args.tasks else f"mean of {len(result.tasks)} tasks (not CORE)"
        lines.append(f"{name:<44}{result.value:>10.4f}  {low:.4f} to {high:.4f}")
        run.finish({name: {"value": result.value, "interval": [low, high]}, "tasks": tasks}, lines)
        if run.reports:
            print(_pages(result, run, name))
    return 0


def bits_per_byte(args: argparse.Namespace) -> int:
    """Measure bits per byte, print them, write them."""
    with _opened("bits-per-byte", args) as run:
        result = evaluate_bits_per_byte(
            run.checkpoint.model,
            run.checkpoint.tokenizer,
            read_documents(args.data),
            stride=args.stride,
            batch_tokens=args.batch_tokens,
            progress=run.progress,
        )
        figures = {
            "bits_per_byte": {"value": result.value},
            "loss": result.loss,
            "perplexity": result.perplexity,
            **dataclasses.asdict(result),
        }
        lines = [
            f"bits per byte  {result.value:.4f}",
            f"loss           {result.loss:.4f} nats per token (perplexity {result.perplexity:.2f})",
            f"of             {result.bytes:,} bytes, {result.tokens:,} tokens, {result.documents:,} documents",
        ]
        run.finish(figures, lines)
    return 0


def _pages(scored: HellaSwagResult | Core, run: "_Run", name: str = "") -> str:
    """Write the run's record and pages, where pydantic is; says what was done. `name`: what CORE's mean is called."""
    try:
        from gpt_from_scratch.evals.scoring.records import write_core, write_hellaswag
    except ImportError as error:
        return f"no record to compare and no page: they need {error.name}: {how_to_install('evals')}"
    if isinstance(scored, Core):
        write_core(scored, name, run.checkpoint.name, run.folder)
        return "with a record to compare and a page a task, see report.html"
    about = write_hellaswag(scored, run.checkpoint.name, run.folder)
    return f"with a page and a record to compare, both of {about}"


@dataclasses.dataclass
class _Run:
    """Common parts of the commands: the checkpoint, the progress line, and the output files."""

    args: argparse.Namespace
    checkpoint: OpenedModel
    reports: bool
    command: str
    started: float = dataclasses.field(default_factory=time.monotonic)
    folder: Path = Path()
    _shown: float = 0.0

    def progress(self, done: int, total: int, label: str = "") -> None:
        """A line that is written over, at most four times a second, on a terminal only."""
        now = time.monotonic()
        if self.reports and sys.stderr.isatty() and (now - self._shown >= 0.25 or done == total):
            self._shown = now
            end = "\n" if done == total else ""
            text = f"{label or self.command}: {done}/{total} batches, {now - self.started:.0f} s"
            print(f"\r\x1b[K{text}", end=end, file=sys.stderr, flush=True)

    def finish(self, figures: dict[str, Any], lines: list[str]) -> None:
        """Print `lines`, and write the summary."""
        if not self.reports:
            return
        stamp = datetime.datetime.now(datetime.UTC)
        name = f"{self.command}-{self.checkpoint.name}-{stamp:%Y%m%d-%H%M%S}".replace("/", "-")
        self.folder = self.args.out or new_folder(EVALS, name)
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(self.args).items()}
        summary = {
            "command": self.command,
            "model": self.checkpoint.name,
            "created_at": stamp.isoformat(timespec="seconds"),
            "settings": settings,
            "tokenizer": self.checkpoint.tokenizer.fingerprint,
            "seconds": round(time.monotonic() - self.started, 3),
            "results": figures,
        }
        write_text(self.folder / "summary.json", json_text(summary, indent=2) + "\n")
        print(f"{self.command} of {self.checkpoint.name}", *lines, f"written to {self.folder}", sep="\n")


@contextlib.contextmanager
def _opened(command: str, args: argparse.Namespace) -> Iterator[_Run]:
    """The checkpoint that the arguments name, on this rank's device, in the asked precision."""
    called = f"--out {args.out}" if args.out else f"the folder {EVALS}"
    require_folder(args.out or EVALS, called, "Name another place: --out FOLDER")  # before anything is scored for it
    with ranks(args.device) as (device, reports):
        checkpoint = open_model(args.run, device=str(device), tokenizer=args.tokenizer, ema=args.ema)
        kind = checkpoint.model.wte.weight.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=args.dtype == "bf16"):
            yield _Run(args, checkpoint, reports, command)
