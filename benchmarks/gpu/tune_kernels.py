"""Search the kernels' configurations on this GPU, and print the best as lines of the kernels' configurations:

python -m gpt_from_scratch.benchmarks.gpu.tune_kernels [--op attention] [--rounds 20] > mine.txt
GPT_KERNEL_CONFIGS=mine.txt torchrun training/train_gpt2.py

Every candidate is timed in the same rounds as the line that ships, so that a slow minute is slow for both. Give all
ranks of a run the same file: ranks that tune apart sum in different orders. Decoding's and the column sums' lines are left
as they are: a training step spends no time there that would show.
"""

import argparse
import sys
from collections.abc import Callable
from typing import Any

import torch

from gpt_from_scratch.benchmarks.common.timing import interleaved
from gpt_from_scratch.benchmarks.gpu.kernel_work import forward_and_backward, like_outputs
from gpt_from_scratch.kernels.launch_config import HEADER, Config, ConfigLine, show_line
from gpt_from_scratch.kernels.registry import load_ops
from gpt_from_scratch.kernels.spec import Tuning
from gpt_from_scratch.kernels.triton_tools import configs


def search(op: str, tuning: Tuning, size: int, device: str, rounds: int, tried: list[Config]) -> ConfigLine:
    """The candidate with the least median time of forward + backward, as a line of the table."""
    from triton.runtime.errors import TritonError

    inputs = tuning.work(size).inputs(device, torch.bfloat16)
    function = load_ops()[op]
    upstream = like_outputs(lambda **arguments: function(**arguments, backend="triton"), inputs)
    family = configs.family(next(iter(inputs.values())))

    def call() -> None:
        forward_and_backward(lambda **arguments: function(**arguments, backend="triton"), inputs, upstream)

    runs: dict[str, Callable[[], Any]] = {}
    lines: dict[str, ConfigLine] = {}
    for config in tried:
        line = ConfigLine(family, op, tuning.kernel, "half", size, 0, config)

        def trial(line: ConfigLine = line) -> None:
            with configs.first(line):
                call()

        try:
            trial()
        except (RuntimeError, TritonError) as error:  # does not fit this chip
            print(f"# {show_line(line)}: {type(error).__name__}", file=sys.stderr)
            continue
        runs[show_line(line)], lines[show_line(line)] = trial, line
    times = interleaved(runs, rounds, device)
    return lines[min(times, key=lambda name: times[name]["median"])]


def main() -> None:
    """Parse the arguments, search, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m gpt_from_scratch.benchmarks.gpu.tune_kernels", description=__doc__)
    tunable = [made.name for made in load_ops().values() if made.spec.tuning]
    parser.add_argument("--op", choices=tunable, help="only this op (default: all)")
    parser.add_argument("--rounds", type=int, default=20, help="rounds of all candidates (default: %(default)s)")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("no GPU found: configurations can only be timed on a GPU")
    print(HEADER)
    for op, made in load_ops().items():
        for tuning in made.spec.tuning if arguments.op in (None, op) else ():
            for size in tuning.sizes:
                shipped = configs.find(
                    torch.empty(1, device="cuda", dtype=torch.bfloat16), op, tuning.kernel, size, 1024
                )
                tried = [shipped, *tuning.candidates()]
                print(show_line(search(op, tuning, size, "cuda", arguments.rounds, tried)), flush=True)


if __name__ == "__main__":
    main()
