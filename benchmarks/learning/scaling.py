"""Benchmark of scaling on a CPU: cost against work, relative to the machine's speed of matrix products.

    python -m gpt_from_scratch.benchmarks.learning.scaling --out benchmarks/results --image images/cpu_scaling.png
    python -m gpt_from_scratch.benchmarks.learning.scaling --draw benchmarks/results/scaling.json --image images/cpu_scaling.png

Training steps (forward, backward, clipping, AdamW) of GPT-2's architecture with a small vocabulary, with the backend `torch`:
one row of 256 to 8192 tokens through 10 M parameters; one row of 512 tokens through 1 M to 350 M; and four rows of 512 through
10 M on one process with one thread, one with two, and two with one each, as under torchrun. Round after round each takes a
step and the products are measured again; at the end one step more is profiled. The FLOPs are those of training/run/estimate.py,
which count the full square of attention. A causal kernel can leave out half of it, so long contexts may come closer to the
line than they deserve.
"""

import argparse
import json
import os
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from gpt_from_scratch.benchmarks.common import machine
from gpt_from_scratch.benchmarks.common.timing import summary
from gpt_from_scratch.benchmarks.common.workers import PAUSE_SECONDS, Worker
from gpt_from_scratch.benchmarks.cpu.own_steps import own_trainer, train_step
from gpt_from_scratch.benchmarks.cpu.step_contenders import by_kind
from gpt_from_scratch.benchmarks.learning.scaling_picture import draw
from gpt_from_scratch.models.gpt import GPT, GPTConfig
from gpt_from_scratch.support.storage.files import write_bytes
from gpt_from_scratch.training.config import TrainConfig
from gpt_from_scratch.training.optim.config import OptimizerConfig
from gpt_from_scratch.training.ranks.process_group import process_group, ranks_from_environment
from gpt_from_scratch.training.run.estimate import flops_a_token
from gpt_from_scratch.training.run.trainer import Trainer

FILE = "scaling.json"
TARGET = "gpt_from_scratch.benchmarks.learning.scaling:Steps"
PRODUCT = (4096, 768, 3072)
PRODUCT_SECONDS = 0.5
VOCAB, HEAD = 4096, 64
LENGTHS = (256, 512, 1024, 2048, 4096, 8192)
TEN_MILLION = (5, 384)
SHAPES = ((3, 128), (5, 192), TEN_MILLION, (9, 512), (14, 768), (28, 1024))  # (layers, width)
LENGTH, ROWS = 512, 4

Point = dict[str, Any]
"""A model's sizes, as GPTConfig has them."""


def point(layers: int, width: int, length: int, vocab_size: int = VOCAB) -> Point:
    """GPT-2's architecture with heads of 64."""
    sizes = {"block_size": length, "vocab_size": vocab_size, "n_layer": layers}
    return {**sizes, "n_head": max(1, width // HEAD), "n_embd": width}


class Steps:
    """A process that trains models of several sizes in turn; with others, if the environment says so as torchrun does."""

    def __init__(self) -> None:
        self.ranks, self.stack = ranks_from_environment(), ExitStack()
        self.peers = self.stack.enter_context(process_group(self.ranks, torch.device("cpu")))
        self.trainers: dict[str, Trainer] = {}

    def step(self, model: Point, rows: int) -> float:
        """Seconds of a step; the first of a model also makes it."""
        if (key := json.dumps(model)) not in self.trainers:
            torch.manual_seed(0)
            config = TrainConfig(batch_size=rows, optimizer=OptimizerConfig(name="adamw"))
            made = GPT(GPTConfig(**model))
            self.trainers[key] = own_trainer(config, made, ranks=self.ranks, peers=self.peers)
        start = time.perf_counter()
        train_step(self.trainers[key])
        return time.perf_counter() - start

    def profile(self, model: Point) -> dict[str, float]:
        """Seconds of a step more by kind of operation."""
        return by_kind(lambda: train_step(self.trainers[json.dumps(model)]))

    def rate(self, seconds: float) -> float:
        """FLOP/s of this process in matrix products."""
        return machine.product_rate(*PRODUCT, seconds)

    def close(self) -> None:
        """Leave the other processes."""
        self.stack.close()


class Setting:
    """A setting: a number of parallel processes with a number of threads each."""

    def __init__(self, stack: ExitStack, processes: int, threads: int) -> None:
        self.processes, self.threads = processes, threads
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = found.getsockname()[1]
        alike = {"OMP_NUM_THREADS": str(threads), "WORLD_SIZE": str(processes)}
        alike |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        self.workers = [
            stack.enter_context(
                Worker(
                    f"{processes} × {threads}, rank {rank}",
                    TARGET,
                    {},
                    alike | dict.fromkeys(("RANK", "LOCAL_RANK"), str(rank)),
                )
            )
            for rank in range(processes)
        ]

    def step(self, model: Point, rows: int) -> float:
        """Seconds until the last has taken it."""
        return max(self._all("step", model=model, rows=rows))

    def rate(self, seconds: float) -> float:
        """FLOP/s of all together."""
        return sum(self._all("rate", seconds=seconds))

    def profile(self, model: Point) -> dict[str, float]:
        """The first one's."""
        first: dict[str, float] = self._all("profile", model=model)[0]
        return first

    def _all(self, method: str, **arguments: Any) -> list[Any]:
        time.sleep(PAUSE_SECONDS)
        for worker in self.workers:
            worker.send(method, **arguments)
        return [worker.receive() for worker in self.workers]


def figures(
    model: Point, rows: int, seconds: list[float], rates: list[float], profile: dict[str, float]
) -> dict[str, Any]:
    """Figures of one point; the ideal follows from the products measured in the same round."""
    config, tokens = GPTConfig(**model), rows * model["block_size"]
    flops = tokens * flops_a_token(config)
    with torch.device("meta"):
        parameters = GPT(config).num_parameters()
    return {
        "parameters": parameters,
        "rows": rows,
        "length": model["block_size"],
        "layers, width": [config.n_layer, config.n_embd],
        "flops_a_token": flops_a_token(config),
        "seconds": summary(seconds),
        "tokens/s": summary([tokens / s for s in seconds]),
        "FLOP/s": summary([flops / s for s in seconds]),
        "ideal tokens/s": summary([tokens * rate / flops for rate in rates]),
        "part of products": summary([flops / s / rate for s, rate in zip(seconds, rates, strict=True)]),
        "profile, s": profile,
    }


def curves(points: dict[str, list[Point]], rounds: int, product_seconds: float) -> dict[str, list[dict[str, Any]]]:
    """Every point once a round, in one process with a thread a core; a round that does not count comes first."""
    with ExitStack() as stack:
        setting = Setting(stack, 1, os.cpu_count() or 1)
        models = {(kind, index): model for kind, row in points.items() for index, model in enumerate(row)}
        seconds: dict[tuple[str, int], list[float]] = {key: [] for key in models}
        rates = []
        for turn in range(rounds + 1):
            rate = setting.rate(product_seconds)
            rates += [rate] if turn else []
            for key, model in models.items():
                taken = setting.step(model, 1)
                seconds[key] += [taken] if turn else []
            shown = f"round {turn}" if turn else "not counted"
            print(
                f"{shown}: {rate / 1e9:.0f} GFLOP/s in products, {sum(s[-1] for s in seconds.values() if s):.1f} s in steps",
                flush=True,
            )
        profiles = {key: setting.profile(model) for key, model in models.items()}
    return {
        kind: [figures(model, 1, seconds[kind, i], rates, profiles[kind, i]) for i, model in enumerate(row)]
        for kind, row in points.items()
    }


def processes(model: Point, rows: int, rounds: int, product_seconds: float) -> list[dict[str, Any]]:
    """The same batch on 1 process with 1 thread, 1 with 2, and 2 with 1 each."""
    with ExitStack() as stack:
        settings = [Setting(stack, *counts) for counts in ((1, 1), (1, 2), (2, 1))]
        seconds: list[list[float]] = [[] for _ in settings]
        rates: list[list[float]] = [[] for _ in settings]
        for turn in range(rounds + 1):
            for setting, taken, reached in zip(settings, seconds, rates, strict=True):
                rate, step = setting.rate(product_seconds), setting.step(model, rows)
                if turn:
                    reached.append(rate)
                    taken.append(step)
                    print(f"round {turn}: {setting.processes} × {setting.threads} threads {step:.2f} s", flush=True)
        return [
            {
                "processes": setting.processes,
                "threads": setting.threads,
                **figures(model, rows, taken, reached, setting.profile(model)),
            }
            for setting, taken, reached in zip(settings, seconds, rates, strict=True)
        ]


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, write scaling.json and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--longest", type=int, default=LENGTHS[-1], help="leave longer rows out")
    parser.add_argument("--out", type=Path, help=f"folder for {FILE}")
    parser.add_argument("--image", type=Path, help="where the picture goes, a PNG")
    parser.add_argument("--draw", type=Path, metavar="FILE", help=f"measure nothing, draw this {FILE}")
    parser.add_argument("--smoke", action="store_true", help="models of no use, to see in seconds that all runs")
    options = parser.parse_args(arguments)
    if options.draw is not None:
        report = json.loads(options.draw.read_text(encoding="utf-8"))
    else:
        points = {
            "length": [point(*TEN_MILLION, length) for length in LENGTHS if length <= options.longest],
            "parameters": [point(*shape, LENGTH) for shape in SHAPES],
        }
        shared, rows, product_seconds = point(*TEN_MILLION, LENGTH), ROWS, PRODUCT_SECONDS
        if options.smoke:
            points = {"length": [point(1, 32, 8, 97), point(1, 32, 16, 97)], "parameters": [point(1, 64, 8, 97)]}
            shared, rows, product_seconds = point(1, 32, 8, 97), 2, 0.001
        report = {**machine.environment(), "smoke": options.smoke, "rounds": options.rounds, "product": list(PRODUCT)}
        report |= curves(points, options.rounds, product_seconds)
        report["processes"] = processes(shared, rows, options.rounds, product_seconds)
        machine.write(None if options.out is None else options.out / FILE, report)
    for kind in ("length", "parameters", "processes"):
        for row in report[kind]:
            where = f"{row['processes']} × {row['threads']} threads, " if kind == "processes" else ""
            rate, part = row["tokens/s"]["median"], row["part of products"]["median"]
            print(
                f"{where}{row['parameters'] / 1e6:.1f} M, {row['length']} tokens: {rate:,.0f} tokens/s, {part:.0%} of products"
            )
    if options.image is not None:
        options.image.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(options.image, draw(report))


if __name__ == "__main__":
    main()
