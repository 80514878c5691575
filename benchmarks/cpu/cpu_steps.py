"""Benchmark of training steps on a CPU: ours, plain PyTorch, transformers and litgpt, interleaved, one process each:

    python -m gpt_from_scratch.benchmarks.cpu.cpu_steps --out benchmarks/results                  # GPT-2 124M, 1 and 4 × 1024
    python -m gpt_from_scratch.benchmarks.cpu.cpu_steps --model tiny --out benchmarks/results     # the preset `tiny`

A step is forward, backward, clipping to norm 1, optimizer and zero_grad, in fp32. Ours is the training loop's own with
--backend torch, and --no-compile unless its name says otherwise. All begin with the same weights and tokens, and their first
losses must agree to 1e-4. Each first step is untimed; what torch.compile adds to it is reported by itself. In the same rounds
the machine's own rate of matrix products is measured, at the step's shapes, and each contender's part of it given by the FLOPs
of training/run/estimate.py. The memory is the most that a process had resident during its timed steps.

litgpt takes part where it can be imported. It asks for other versions than transformers does, so give it a folder of its own:
    pip install --no-deps --target LITGPT litgpt lightning lightning-utilities pytorch-lightning torchmetrics jsonargparse \\
        typeshed-client docstring-parser importlib-resources psutil
and put PYTHONPATH=LITGPT before the command.
"""

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from gpt_from_scratch.benchmarks.common import machine
from gpt_from_scratch.benchmarks.common.timing import summary
from gpt_from_scratch.benchmarks.common.workers import PAUSE_SECONDS, Worker
from gpt_from_scratch.benchmarks.cpu.step_contenders import CONTENDERS, Contender, make_weights
from gpt_from_scratch.benchmarks.cpu.tables import shares
from gpt_from_scratch.models.gpt import GPTConfig
from gpt_from_scratch.training.run.estimate import flops_a_token
from gpt_from_scratch.training.run.presets import PRESETS

FILE = "cpu_steps.json"
MODULE = "gpt_from_scratch.benchmarks.cpu.step_contenders"
AGREE = 1e-4  # nats per token
SPARE_BYTES = 2**32  # those that run already grow, too, until all have had their turn
FRESH = {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}  # else a second run would find its code compiled
STEPS_A_TURN = {"gpt2-124m": 1, "tiny": 20}  # many short ones: the first of a turn finds the caches cold
PRODUCT_SECONDS = 1.0


class Started:
    """The contenders that run: their processes, first steps and first peaks; and why others do not."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.workers: dict[str, Worker] = {}
        self.first: dict[str, dict[str, float]] = {}
        self.left_out: dict[str, str] = {}
        self._largest = 0

    def start(self, name: str, contender: Contender, arguments: dict[str, Any]) -> None:
        """Start a contender and let it take its untimed step, or note why not."""
        if (reason := contender.why_not() or self._too_large()) is not None:
            self.left_out[name] = reason
            print(f"  {name}: left out, {reason}", flush=True)
            return
        target = f"{MODULE}:{contender.kind.__name__}"
        worker = Worker(name, target, arguments | contender.arguments, FRESH if contender.compiles else None)
        self.workers[name] = self.stack.enter_context(worker)
        self.first[name] = worker.ask("steps")
        self._largest = max(self._largest, worker.peak_bytes() or 0)
        worker.forget_peak()
        print(
            f"  {name}: loss {self.first[name]['loss']:.5f}, first step {self.first[name]['seconds']:.2f} s", flush=True
        )

    def turn(self, count: int) -> dict[str, float]:
        """Seconds a step of each in turn. One that is killed, as when memory is short, is left out from then on."""
        seconds = {}
        for name, worker in list(self.workers.items()):
            time.sleep(PAUSE_SECONDS)
            try:
                seconds[name] = worker.ask("steps", count=count)["seconds"]
            except RuntimeError as error:
                del self.workers[name]
                self.left_out[name] = str(error)
                print(f"  {name}: left out, {error}", flush=True)
        return seconds

    def _too_large(self) -> str | None:
        available = machine.available_bytes()
        if available is None or available > self._largest + SPARE_BYTES:
            return None
        return f"{available / 1e9:.1f} GB of memory are left, and one of the others took {self._largest / 1e9:.1f}"


def check_agreement(losses: dict[str, float]) -> None:
    """Raises ValueError where two first losses differ by more than AGREE: they would not compute the same."""
    if max(losses.values()) - min(losses.values()) > AGREE:
        raise ValueError(f"the losses at equal weights differ: {losses}")


def measure(preset: str, batch: int, rounds: int, wanted: list[str], smoke: bool) -> dict[str, Any]:
    """All contenders on batches of so many rows: what one entry of the results file holds."""
    count = 1 if smoke else STEPS_A_TURN[preset]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        model = make_weights(Path(folder), preset, smoke)
        config = model.config
        print(f"{preset}: {batch} × {config.block_size} tokens", flush=True)
        started = Started(stack)
        for name, contender in CONTENDERS[preset].items():
            if name in wanted:
                started.start(name, contender, {"folder": folder, "batch": batch})
        check_agreement({name: found["loss"] for name, found in started.first.items()})
        products = stack.enter_context(Worker("products", f"{MODULE}:Products", {}))
        shape = (batch * config.block_size, config.n_embd, 4 * config.n_embd)
        rates: list[float] = []
        seconds: dict[str, list[float]] = {name: [] for name in started.workers}
        for turn in range(rounds):
            time.sleep(PAUSE_SECONDS)
            length = 0.01 if smoke else PRODUCT_SECONDS
            rates.append(products.ask("rate", rows=shape[0], inner=shape[1], columns=shape[2], seconds=length))
            for name, taken in started.turn(count).items():
                seconds[name].append(taken)
            shown = ", ".join(f"{name} {taken[-1]:.3f} s" for name, taken in seconds.items() if name in started.workers)
            print(f"  round {turn + 1}: {rates[-1] / 1e9:.0f} GFLOP/s in products; {shown}", flush=True)
        peaks = {name: worker.peak_bytes() for name, worker in started.workers.items()}
        profile = started.workers["ours"].ask("profile", count=count) if "ours" in started.workers else {}
    return {
        "block_size": config.block_size,
        "parameters": model.num_parameters(),
        "flops_a_token": flops_a_token(config),
        "rounds": rounds,
        "steps a turn": count,
        "product": list(shape),
        "product FLOP/s": summary(rates),
        "contenders": {
            name: figures(config, batch, seconds, name, rates)
            | {"peak memory, bytes": peaks[name], "first loss": started.first[name]["loss"]}
            | compilation(CONTENDERS[preset][name], started.first[name]["seconds"], seconds[name])
            for name in started.workers
        },
        "profile of ours, s": profile,
        "left out": started.left_out,
    }


def figures(
    config: GPTConfig, batch: int, seconds: dict[str, list[float]], name: str, rates: list[float]
) -> dict[str, Any]:
    """Figures of one contender; ratios are computed round by round."""
    tokens = batch * config.block_size
    taken, flops = seconds[name], tokens * flops_a_token(config)
    best = (
        {"beside ours": summary([a / b for a, b in zip(taken, seconds["ours"], strict=True)])}
        if "ours" in seconds
        else {}
    )
    return {
        "seconds": summary(taken),
        "tokens/s": summary([tokens / s for s in taken]),
        "part of products": summary([flops / s / rate for s, rate in zip(taken, rates, strict=True)]),
        **best,
    }


def compilation(contender: Contender, first: float, seconds: list[float]) -> dict[str, float]:
    """Compilation time in the first step, for contenders that compile."""
    return {"compilation, s": first - summary(seconds)["median"]} if contender.compiles else {}


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and write cpu_steps.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", choices=list(CONTENDERS), default="gpt2-124m", help="the preset (default: gpt2-124m)"
    )
    parser.add_argument("--batch", type=int, nargs="+", help="rows a step (default: 1 4; for tiny the preset's)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contenders", nargs="+", help="only these, by name (default: all that can)")
    parser.add_argument("--out", type=Path, help=f"folder for {FILE}; other models and batches in it are kept")
    parser.add_argument("--smoke", action="store_true", help="a model of no use, to see in seconds that all runs")
    options = parser.parse_args(arguments)
    names = options.contenders or list(CONTENDERS[options.model])
    if unknown := [name for name in names if name not in CONTENDERS[options.model]]:
        parser.error(f"no contender {unknown[0]!r}: there are {', '.join(map(repr, CONTENDERS[options.model]))}")
    batches = options.batch or ([PRESETS["tiny"][1].batch_size] if options.model == "tiny" else [1, 4])
    path = None if options.out is None else options.out / FILE
    about = machine.environment("transformers", "litgpt") | {"smoke": options.smoke}
    report: dict[str, Any] = {"models": {}} | machine.continued(path, about)
    for batch in batches:
        found = measure(options.model, batch, options.rounds, names, options.smoke)
        report["models"].setdefault(options.model, {})[str(batch)] = found
        machine.write(path, report)
        for name, row in sorted(found["contenders"].items(), key=lambda item: item[1]["seconds"]["median"]):
            part, memory = row["part of products"]["median"], (row["peak memory, bytes"] or 0) / 1e9
            print(f"{row['seconds']['median']:9.3f} s  {part:5.1%} of products  {memory:5.2f} GB  {name}", flush=True)
        if profile := found["profile of ours, s"]:
            print(f"ours by kind of operation: {shares(profile)}", flush=True)


if __name__ == "__main__":
    main()
