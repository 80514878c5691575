"""Launch configurations: one fixed table of block sizes, warps and pipeline stages, of lines that each op declares.

Fixed, because ranks that tune apart sum in different orders and diverge (Megatron-LM#6966), and because a search costs
minutes at every start. `python -m gpt_from_scratch.benchmarks.gpu.tune_kernels` searches on a GPU and prints lines in this
table's form; $GPT_KERNEL_CONFIGS names a file of such lines, which then come first.

A family stands for what its chips' memories allow: "sm_80" keeps to the 99 KiB of shared memory that an RTX 30, 40 or
50 has, too; "sm_90" and "sm_100" are H100 and B200; "gfx942" is AMD's MI300, with 64 lanes a warp and 64 KiB.
sm_90's lines were timed on an H200 with triton 3.6 (benchmarks/results/kernels_gpu.md). No other has been: each was chosen by
what the compiler makes of it (no spills, occupancy, instructions a tile: `python -m gpt_from_scratch.kernels --inspect`).

The lines are in kernels/ops/*/configurations.py. For a head size or width up to `size` and a length from `length` on, the
first line that fits is taken. `rows` and `columns` are a tile's queries and keys, rows and elements; `waves` the programs a
multiprocessor where a kernel loops over its tiles.
"""

import contextlib
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from gpt_from_scratch.kernels.launch_config import FAMILIES as FAMILIES
from gpt_from_scratch.kernels.launch_config import Config as Config
from gpt_from_scratch.kernels.launch_config import ConfigLine, parse_table
from gpt_from_scratch.kernels.registry import load_ops


@cache
def table() -> list[ConfigLine]:
    """The lines that the ops declare, after those of the file that $GPT_KERNEL_CONFIGS names."""
    path = os.environ.get("GPT_KERNEL_CONFIGS")
    lines = parse_table(Path(path).read_text(encoding="utf-8"), path) if path else []
    for made in load_ops().values():
        lines += parse_table(made.spec.lines, f"kernels/ops/{made.name}")
    return lines


def find(x: Tensor, op: str, kernel: str, size: int, length: int = 0) -> Config:
    """The configuration for x's chip family and dtype.

    Raises:
        LookupError: no line fits; the op's `limits` should have said so.
    """
    return _find(family(x), op, kernel, "fp32" if x.dtype == torch.float32 else "half", size, length)


@cache
def _find(family: str, op: str, kernel: str, dtype: str, size: int, length: int) -> Config:
    for line in table():
        if (
            (line.family, line.op, line.kernel) == (family, op, kernel)
            and line.dtype in (dtype, "any")
            and size <= (line.size or size)
            and length >= line.length
        ):
            return line.config
    raise LookupError(f"no configuration of {op}'s {kernel} on {family} for {dtype}, size {size}, length {length}")


@contextlib.contextmanager
def first(line: ConfigLine) -> Iterator[None]:
    """Put a line before all others within the block, to try it."""
    table().insert(0, line)
    _find.cache_clear()
    try:
        yield
    finally:
        table().remove(line)
        _find.cache_clear()


_pretended: str | None = None


@contextlib.contextmanager
def pretending(name: str) -> Iterator[None]:
    """Take another chip family's lines, whatever the tensors' device: the inspector does."""
    global _pretended
    before, _pretended = _pretended, name
    try:
        yield
    finally:
        _pretended = before


def family(x: Tensor) -> str:
    """The chip family of x's device; chips that we do not know take sm_80's lines."""
    if _pretended is not None:
        return _pretended
    if not x.is_cuda:
        return "interpreter"
    if torch.version.hip is not None:
        return "gfx942"
    major, _ = torch.cuda.get_device_capability(x.device)
    return {9: "sm_90", 10: "sm_100"}.get(major, "sm_80")
