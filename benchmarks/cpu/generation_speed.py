"""Benchmark of generation with GPT-2 124M on a CPU: our engine and transformers' `generate`, interleaved:

    python -m gpt_from_scratch.benchmarks.cpu.generation_speed --out benchmarks/results

256 new tokens after a prompt of 16, for 1 and 16 prompts at once, in fp32 with a KV cache, always the most likely token. The
weights are random and the same for all. Ours is models/generation/engine.py with the backend `torch`, and once more with the
device's preference, which training/generate.py takes unless GPT_BACKEND says otherwise. Before anything is timed each must
write the same tokens as transformers; where two logits are all but equal rounding may decide, but not within the first 32.
Each step reads all weights. In the same rounds the machine's own rate of reading as much is measured: no engine can be quicker.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch

from gpt_from_scratch.benchmarks.common import machine
from gpt_from_scratch.benchmarks.common.timing import summary
from gpt_from_scratch.benchmarks.common.workers import Worker, in_turn
from gpt_from_scratch.kernels.choices import resolve, set_backend
from gpt_from_scratch.models.generation.engine import generate
from gpt_from_scratch.models.generation.sampling import Sampling
from gpt_from_scratch.models.gpt import GPT, GPTConfig

FILE = "generation_speed.json"
MODULE = "gpt_from_scratch.benchmarks.cpu.generation_speed"
PROMPT, NEW, MUST_AGREE = 16, 256, 32
READ_SECONDS = 1.0
SMALL = GPTConfig(block_size=64, vocab_size=97, n_layer=2, n_head=2, n_embd=32)


class Engine:
    """Our engine."""

    def __init__(self, folder: str, backend: str | None) -> None:
        self.model = GPT.from_pretrained(folder)
        set_backend({choice.op: choice.backend for choice in resolve(backend, "cpu")})

    def write(self, prompts: list[list[int]], new: int) -> dict[str, Any]:
        """Seconds, and the new tokens of each prompt."""
        start = time.perf_counter()
        tokens = generate(self.model, prompts, new, Sampling(temperature=0.0))
        return {"seconds": time.perf_counter() - start, "tokens": tokens}


class Transformers:
    """Hugging Face's generate."""

    def __init__(self, folder: str) -> None:
        from transformers import GPT2LMHeadModel

        self.model = GPT2LMHeadModel.from_pretrained(folder, attn_implementation="sdpa", dtype=torch.float32).eval()

    def write(self, prompts: list[list[int]], new: int) -> dict[str, Any]:
        """The same."""
        start = time.perf_counter()
        given = torch.tensor(prompts)
        made = self.model.generate(
            given,
            attention_mask=torch.ones_like(given),
            do_sample=False,
            min_new_tokens=new,
            max_new_tokens=new,
            use_cache=True,
            pad_token_id=self.model.config.eos_token_id,
        )
        tokens = made[:, given.shape[1] :].tolist()
        return {"seconds": time.perf_counter() - start, "tokens": tokens}


class Reading:
    """The machine's own rate of reading memory."""

    def rate(self, n_bytes: int, seconds: float) -> float:
        """Bytes/s."""
        return machine.read_rate(n_bytes, seconds)


CONTENDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ours": ("Engine", {"backend": "torch"}),
    "transformers": ("Transformers", {}),
    "ours, the device's preference": ("Engine", {"backend": None}),
}
"""Name → (class, its arguments beside the weights' folder)."""


def agreeing(one: Sequence[int], other: Sequence[int]) -> int:
    """Number of equal tokens from the first on."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=True)))


def check_agreement(written: dict[str, list[list[int]]]) -> dict[str, int]:
    """Tokens that each writes as transformers does, in the row with the fewest.

    Raises:
        ValueError: fewer than MUST_AGREE (or than there are).
    """
    expected = written["transformers"]
    fewest = {
        name: min(agreeing(row, right) for row, right in zip(rows, expected, strict=True))
        for name, rows in written.items()
    }
    least = min(MUST_AGREE, len(expected[0]))
    if wrong := {name: count for name, count in fewest.items() if count < least}:
        raise ValueError(f"other tokens than transformers' within the first {least}: {wrong} agree")
    return fewest


def measure(
    workers: dict[str, Worker], reading: Worker, model: GPT, batch: int, rounds: int, new: int, read_seconds: float
) -> dict[str, Any]:
    """Figures for so many prompts at once; the first turn warms up, and its tokens are compared."""
    vocab_size, n_bytes = model.config.vocab_size, 4 * model.num_parameters()
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(vocab_size, (batch, PROMPT), generator=generator).tolist()
    first = in_turn(workers, "write", prompts=prompts, new=new)
    agree = check_agreement({name: found["tokens"] for name, found in first.items()})
    seconds: dict[str, list[float]] = {name: [] for name in workers}
    rates: list[float] = []
    for turn in range(rounds):
        rates.append(reading.ask("rate", n_bytes=n_bytes, seconds=read_seconds))
        for name, found in in_turn(workers, "write", prompts=prompts, new=new).items():
            seconds[name].append(found["seconds"])
        shown = ", ".join(f"{name} {batch * new / taken[-1]:,.1f} tokens/s" for name, taken in seconds.items())
        print(f"{batch} prompts, round {turn + 1}: {shown}", flush=True)
    return {
        "rounds": rounds,
        "weights, bytes": n_bytes,
        "read, bytes/s": summary(rates),
        "contenders": {
            name: {
                "tokens/s": summary([batch * new / s for s in taken]),
                "times transformers'": summary([b / a for a, b in zip(taken, seconds["transformers"], strict=True)]),
                "part of reading": summary([n_bytes * new / s / rate for s, rate in zip(taken, rates, strict=True)]),
                "tokens that agree": agree[name],
            }
            for name, taken in seconds.items()
        },
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and write generation_speed.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16], help="prompts at once (default: 1 16)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help=f"folder for {FILE}; other batches in it are kept")
    parser.add_argument("--smoke", action="store_true", help="a model of no use, to see in seconds that all runs")
    options = parser.parse_args(arguments)
    config, new = (SMALL, 8) if options.smoke else (GPTConfig(), NEW)
    path = None if options.out is None else options.out / FILE
    about = {**machine.environment("transformers"), "prompt": PROMPT, "new": new, "smoke": options.smoke}
    report: dict[str, Any] = {"batches": {}} | machine.continued(path, about)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        torch.manual_seed(0)
        model = GPT(config)
        model.save_pretrained(folder)
        reading = stack.enter_context(Worker("reading", f"{MODULE}:Reading", {}))
        workers = {
            name: stack.enter_context(Worker(name, f"{MODULE}:{kind}", {"folder": folder, **given}))
            for name, (kind, given) in CONTENDERS.items()
        }
        for batch in options.batch:
            report["batches"][str(batch)] = measure(
                workers, reading, model, batch, options.rounds, new, 0.01 if options.smoke else READ_SECONDS
            )
            machine.write(path, report)
    for batch, found in report["batches"].items():
        for name, row in found["contenders"].items():
            rate, ratio = row["tokens/s"]["median"], row["times transformers'"]["median"]
            print(f"{batch:>3} prompts {rate:10,.1f} tokens/s  {ratio:5.2f} × transformers'  {name}", flush=True)


if __name__ == "__main__":
    main()
