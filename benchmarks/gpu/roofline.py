"""Roofline: the minimum time of each op in a training step of GPT-2 124M on an H200, and the measured time.

python -m gpt_from_scratch.benchmarks.gpu.roofline        prints the page; benchmarks/results/kernels_roofline.md is its output

The floor is the larger of FLOPs / 788 TFLOP/s (a bf16 product of 8192³ random elements, measured) and bytes / 4.3 TB/s (a
copy, measured). FLOPs of causal attention are counted as 2·B·H·T²·D forward and 2.5 times that backward; bytes are every
tensor moved once. The matrix products of the linear layers are the library's and not listed.
"""

import json
from pathlib import Path
from typing import Any

from gpt_from_scratch.benchmarks.common.measured import NOT_MEASURED, since
from gpt_from_scratch.benchmarks.gpu.kernel_work import Work, gpt2_step

FLOPS = 788e12
BYTES = 4.3e12
MEASURED = Path(__file__).parents[1] / "results" / "kernels_gpu.json"


def floor(flops: float, moved: float) -> tuple[float, str]:
    """(seconds, what bounds them)."""
    return max((flops / FLOPS, "arithmetic"), (moved / BYTES, "memory"))


def page(measured: dict[str, Any] | None) -> str:
    """The page in Markdown; `measured` is gpu_report's JSON, None where no GPU has run it yet."""
    card = NOT_MEASURED
    if measured is not None:
        card = f"{measured['environment']['device']}; {since(measured['environment'])}"
    lines = [
        "# Kernels of a GPT-2 124M step: the floor on one H200",
        "",
        f"32 sequences of 1024 tokens, bf16. Floor: 788 TFLOP/s, 4.3 TB/s. Measured: {card}.",
        "",
        "| op | shape | pass | calls | GFLOP | MB | bound by | floor, µs | measured, µs |",
        "|---|---|---|---:|---:|---:|---|---:|---:|",
    ]
    total = 0.0
    for calls, work in gpt2_step():
        for direction, flops, moved in (
            ("forward", work.forward_flops, work.forward_bytes),
            ("backward", work.backward_flops, work.backward_bytes),
        ):
            least, bound = floor(flops, moved)
            total += calls * least
            figures = f"{calls} | {flops / 1e9:,.1f} | {moved / 1e6:,.0f} | {bound} | {least * 1e6:,.1f}"
            lines.append(f"| {work.op} | {work.shape} | {direction} | {figures} | {found(measured, work, direction)} |")
    lines += ["", f"All calls of a step at their floors: {total * 1e3:.2f} ms.", ""]
    return "\n".join(lines)


def found(measured: dict[str, Any] | None, work: Work, direction: str) -> str:
    """The Triton kernel's median, as gpu_report wrote it."""
    if measured is None:
        return NOT_MEASURED
    for row in measured["times"]:
        if (row["op"], row["shape"], row["contender"]) == (work.op, work.shape, "triton"):
            seconds = (
                row["forward"]["median"] if direction == "forward" else row["both"]["median"] - row["forward"]["median"]
            )
            return f"{seconds * 1e6:,.1f}"
    return NOT_MEASURED


if __name__ == "__main__":
    print(page(json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else None), end="")
