"""Search the kernels' configurations on this GPU, and print the best as lines of kernels/configs.py's table:

python -m gpt_from_scratch.benchmarks.tune_kernels [--op attention] [--rounds 20] > mine.txt
GPT_KERNEL_CONFIGS=mine.txt torchrun training/train_gpt2.py

Every candidate is timed in the same rounds as the line that ships, so that a slow minute is slow for both. Give all
ranks of a run the same file: ranks that tune apart sum in different orders. Decoding's and the column sums' lines are left
as they are: a training step spends no time there that would show.
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch

from gpt_from_scratch.benchmarks.kernel_work import (
    GPT2,
    ROWS,
    Work,
    attention,
    forward_and_backward,
    layer_norm,
    like_outputs,
    linear_cross_entropy,
)
from gpt_from_scratch.benchmarks.timing import interleaved
from gpt_from_scratch.kernels import configs
from gpt_from_scratch.kernels.configs import Config, Line
from gpt_from_scratch.kernels.registry import load_ops

# (op, kernel, the sizes to tune at)
TASKS: list[tuple[str, str, list[int]]] = [
    ("attention", "forward", [64, 128]),
    ("attention", "backward_q", [64, 128]),
    ("attention", "backward_kv", [64, 128]),
    ("layer_norm", "forward", [768, 1600]),
    ("layer_norm", "backward", [768, 1600]),
    ("linear_cross_entropy", "loss", [0]),
]


def candidates(op: str) -> Iterator[Config]:
    """What is worth a try; what does not fit the chip fails when it is compiled and is left out."""
    if op == "attention":
        for rows, columns, warps, stages in itertools.product((32, 64, 128), (32, 64, 128), (4, 8), (1, 2, 3)):
            yield Config(rows, columns, warps, stages)
    elif op == "linear_cross_entropy":
        for columns, warps in itertools.product((1024, 2048, 4096, 8192), (4, 8, 16)):
            yield Config(1, columns, warps, 1)
    else:
        for rows, warps, waves in itertools.product((1, 2, 4, 8), (1, 2, 4, 8), (1, 2, 4, 8, 12)):
            yield Config(rows, 0, warps, 1, waves)


def work_for(op: str, size: int) -> Work:
    """GPT-2's rows at a head size or width (0: the op has none to tune at)."""
    if op == "attention":
        return attention(32, 768 // size, 1024, size)
    return layer_norm(ROWS, size) if op == "layer_norm" else linear_cross_entropy(ROWS, 768, GPT2["vocabulary"])


def search(op: str, kernel: str, size: int, device: str, rounds: int, tried: list[Config]) -> Line:
    """The candidate with the least median time of forward + backward, as a line of the table."""
    from triton.runtime.errors import TritonError

    work = work_for(op, size)
    inputs = work.inputs(device, torch.bfloat16)
    function = load_ops()[op]
    upstream = like_outputs(lambda **arguments: function(**arguments, backend="triton"), inputs)
    family = configs.family(next(iter(inputs.values())))

    def call() -> None:
        forward_and_backward(lambda **arguments: function(**arguments, backend="triton"), inputs, upstream)

    runs: dict[str, Callable[[], Any]] = {}
    lines: dict[str, Line] = {}
    for config in tried:
        line = Line(family, op, kernel, "half", size, 0, config)

        def trial(line: Line = line) -> None:
            with configs.first(line):
                call()

        try:
            trial()
        except (RuntimeError, TritonError) as error:  # does not fit this chip
            print(f"# {configs.show(line)}: {type(error).__name__}", file=sys.stderr)
            continue
        runs[configs.show(line)], lines[configs.show(line)] = trial, line
    times = interleaved(runs, rounds, device)
    return lines[min(times, key=lambda name: times[name]["median"])]


def main() -> None:
    """Parse the arguments, search, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m gpt_from_scratch.benchmarks.tune_kernels", description=__doc__)
    parser.add_argument("--op", choices=sorted({op for op, _, _ in TASKS}), help="only this op (default: all)")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of all candidates (default: %(default)s)")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("there is no GPU here, and only on one can a configuration be timed")
    print(configs.HEADER)
    for op, kernel, sizes in TASKS:
        for size in sizes if arguments.op in (None, op) else ():
            shipped = configs.find(torch.empty(1, device="cuda", dtype=torch.bfloat16), op, kernel, size, 1024)
            print(
                configs.show(search(op, kernel, size, "cuda", arguments.rounds, [shipped, *candidates(op)])), flush=True
            )


if __name__ == "__main__":
    main()
