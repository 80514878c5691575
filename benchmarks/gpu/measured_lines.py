"""Lines of measurements for `MEASURED` in kernels/ops/*/configurations.py, made of a report: what the default on a GPU follows.

    python -m gpt_from_scratch.benchmarks.gpu.measured_lines                      # of the committed report
    python -m gpt_from_scratch.benchmarks.gpu.measured_lines my/kernels_gpu.json

A line compares both passes of our kernel and of torch's own, in bf16, on one shape.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gpt_from_scratch.benchmarks.common.measured import read
from gpt_from_scratch.kernels.launch_config import Measured, show_measured

RESULTS = Path(__file__).parents[1] / "results" / "kernels_gpu.json"
OURS, BESIDE, DTYPE = "triton", "torch", "bf16"
SHAPES = (
    re.compile(r"b=\d+ h=\d+ t=(?P<length>\d+) d=(?P<size>\d+)"),
    re.compile(r"(?P<length>\d+)×(?P<size>\d+)"),
    re.compile(r"n=(?P<length>\d+) c=(?P<size>\d+) v=\d+"),
)
"""How the report writes a shape: its size and length are those of `kernels.backends.Place`."""


def measured_lines(report: dict[str, Any]) -> dict[str, list[Measured]]:
    """The lines of each op, by size and length.

    Raises:
        ValueError: a shape that is written otherwise.
    """
    chip = report["environment"]["device"].removeprefix("NVIDIA ").split()[0]
    seconds: dict[tuple[str, str], dict[str, float]] = {}
    for entry in report["times"]:
        if "both" in entry:
            seconds.setdefault((entry["op"], entry["shape"]), {})[entry["contender"]] = entry["both"]["median"]
    lines: dict[str, list[Measured]] = {}
    for (op, shape), by_contender in seconds.items():
        if OURS in by_contender and BESIDE in by_contender:
            found = next((match for pattern in SHAPES if (match := pattern.fullmatch(shape))), None)
            if found is None:
                raise ValueError(f"the report's shape {shape!r} of {op} has no known size and length")
            ratio = round(by_contender[OURS] / by_contender[BESIDE], 2)
            line = Measured(chip, DTYPE, int(found["size"]), int(found["length"]), ratio, BESIDE)
            lines.setdefault(op, []).append(line)
    return {op: sorted(found, key=lambda line: (line.size, line.length)) for op, found in sorted(lines.items())}


def main(words: Sequence[str]) -> None:
    """Print each op's table."""
    path = Path(words[0]) if words else RESULTS
    report = read(path)
    if report is None:
        raise SystemExit(f"{path} does not exist: give a kernels_gpu.json that the report wrote")
    for op, lines in measured_lines(report).items():
        print(f"{op}\n{show_measured(lines)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
