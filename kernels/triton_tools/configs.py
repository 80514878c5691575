"""Which block sizes, warps and pipeline stages each kernel is launched with: one fixed table.

Fixed, because ranks that tune apart sum in different orders and diverge (Megatron-LM#6966), and because a search costs
minutes at every start. `python -m gpt_from_scratch.benchmarks.tune_kernels` searches on a GPU and prints lines in this
table's form; $GPT_KERNEL_CONFIGS names a file of such lines, which then come first.

A family stands for what its chips' memories allow: "sm_80" keeps to the 99 KiB of shared memory that an RTX 30, 40 or
50 has, too; "sm_90" and "sm_100" are H100 and B200; "gfx942" is AMD's MI300, with 64 lanes a warp and 64 KiB.
sm_90's lines were timed on an H200 with triton 3.6 (benchmarks/results/kernels_gpu.md). No other has been: each was chosen by
what the compiler makes of it (no spills, occupancy, instructions a tile: `python -m gpt_from_scratch.kernels --inspect`).
"""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

FAMILIES = ("sm_80", "sm_90", "sm_100", "gfx942")

# For a head size (or width) up to `size` and a length from `length` on: the first line that fits is taken.
# `rows` and `columns` are a tile's queries and keys, rows and elements; `waves` the programs a multiprocessor where a
# kernel loops over its tiles.
TABLE = """
family       op                    kernel       dtype  size   length  rows  columns  warps  stages  waves
interpreter  attention             forward      any    128    0       64    64       4      2       1
interpreter  attention             decode       any    128    0       16    64       4      2       2
interpreter  attention             backward_q   any    128    0       64    32       4      2       1
interpreter  attention             backward_kv  any    128    0       32    64       4      2       1
interpreter  layer_norm            forward      any    8192   0       16    0        4      1       1
interpreter  layer_norm            backward     any    8192   0       4     0        8      1       1
interpreter  layer_norm            sums         any    8192   0       64    1024     4      1       1
interpreter  linear_cross_entropy  loss         any    0      0       1     512      8      1       1
sm_80        attention             forward      half   64     0       128   64       4      3       1
sm_80        attention             forward      half   128    0       128   64       8      2       1
sm_80        attention             forward      fp32   128    0       32    32       4      1       1
sm_80        attention             decode       half   128    0       16    64       4      2       2
sm_80        attention             decode       fp32   128    0       16    32       4      1       2
sm_80        attention             backward_q   half   64     0       64    64       4      2       1
sm_80        attention             backward_q   half   128    0       64    32       4      2       1
sm_80        attention             backward_q   fp32   128    0       32    32       4      1       1
sm_80        attention             backward_kv  half   64     0       64    128      8      2       1
sm_80        attention             backward_kv  half   128    0       32    64       4      2       1
sm_80        attention             backward_kv  fp32   128    0       32    32       4      1       1
sm_80        layer_norm            forward      any    1024   0       4     0        4      1       1
sm_80        layer_norm            forward      any    4096   0       1     0        4      1       1
sm_80        layer_norm            forward      any    8192   0       1     0        16     1       1
sm_80        layer_norm            backward     any    1024   0       4     0        8      1       2
sm_80        layer_norm            backward     any    4096   0       1     0        8      1       2
sm_80        layer_norm            backward     any    8192   0       1     0        16     1       1
sm_80        layer_norm            sums         any    8192   0       64    32       4      1       1
sm_80        linear_cross_entropy  loss         any    0      0       1     4096     8      1       1
sm_90        attention             forward      half   64     0       64    64       4      3       1
sm_90        attention             forward      half   128    0       64    32       4      3       1
sm_90        attention             forward      fp32   128    0       32    32       4      1       1
sm_90        attention             decode       half   128    0       16    64       4      2       2
sm_90        attention             decode       fp32   128    0       16    32       4      1       2
sm_90        attention             backward_q   half   64     0       64    64       4      3       1
sm_90        attention             backward_q   half   128    0       64    64       4      2       1
sm_90        attention             backward_q   fp32   128    0       32    32       4      1       1
sm_90        attention             backward_kv  half   64     0       32    64       4      3       1
sm_90        attention             backward_kv  half   128    0       32    64       4      2       1
sm_90        attention             backward_kv  fp32   128    0       32    32       4      1       1
sm_90        layer_norm            forward      any    1024   0       1     0        1      1       1
sm_90        layer_norm            forward      any    2048   0       2     0        4      1       1
sm_90        layer_norm            forward      any    4096   0       1     0        4      1       1
sm_90        layer_norm            forward      any    8192   0       1     0        16     1       1
sm_90        layer_norm            backward     fp32   1024   0       4     0        8      1       2
sm_90        layer_norm            backward     any    1024   0       1     0        1      1       12
sm_90        layer_norm            backward     any    2048   0       2     0        8      1       2
sm_90        layer_norm            backward     any    4096   0       1     0        8      1       2
sm_90        layer_norm            backward     any    8192   0       1     0        16     1       1
sm_90        layer_norm            sums         any    8192   0       256   16       8      1       1
sm_90        linear_cross_entropy  loss         any    0      0       1     2048     4      1       1
sm_100       attention             forward      half   64     0       128   128      8      2       1
sm_100       attention             forward      half   128    0       128   64       8      2       1
sm_100       attention             forward      fp32   128    0       32    32       4      1       1
sm_100       attention             decode       half   128    0       16    128      4      2       2
sm_100       attention             decode       fp32   128    0       16    32       4      1       2
sm_100       attention             backward_q   half   64     0       128   64       4      2       1
sm_100       attention             backward_q   half   128    0       64    64       4      2       1
sm_100       attention             backward_q   fp32   128    0       32    32       4      1       1
sm_100       attention             backward_kv  half   64     0       64    128      8      2       1
sm_100       attention             backward_kv  half   128    0       64    128      8      2       1
sm_100       attention             backward_kv  fp32   128    0       32    32       4      1       1
sm_100       layer_norm            forward      any    1024   0       4     0        4      1       1
sm_100       layer_norm            forward      any    4096   0       1     0        4      1       1
sm_100       layer_norm            forward      any    8192   0       1     0        16     1       1
sm_100       layer_norm            backward     any    1024   0       4     0        8      1       2
sm_100       layer_norm            backward     any    4096   0       1     0        8      1       2
sm_100       layer_norm            backward     any    8192   0       1     0        16     1       1
sm_100       layer_norm            sums         any    8192   0       64    32       4      1       1
sm_100       linear_cross_entropy  loss         any    0      0       1     4096     8      1       1
gfx942       attention             forward      half   64     0       128   64       4      1       1
gfx942       attention             forward      half   128    0       128   32       4      1       1
gfx942       attention             forward      fp32   128    0       32    32       4      1       1
gfx942       attention             decode       half   128    0       16    64       4      1       2
gfx942       attention             decode       fp32   128    0       16    32       4      1       2
gfx942       attention             backward_q   half   64     0       128   32       4      1       1
gfx942       attention             backward_q   half   128    0       64    32       4      1       1
gfx942       attention             backward_q   fp32   128    0       32    32       4      1       1
gfx942       attention             backward_kv  half   64     0       32    128      4      1       1
gfx942       attention             backward_kv  half   128    0       32    64       4      1       1
gfx942       attention             backward_kv  fp32   128    0       32    32       4      1       1
gfx942       layer_norm            forward      any    1024   0       4     0        4      1       1
gfx942       layer_norm            forward      any    4096   0       1     0        4      1       1
gfx942       layer_norm            forward      any    8192   0       1     0        8      1       1
gfx942       layer_norm            backward     any    1024   0       4     0        4      1       2
gfx942       layer_norm            backward     any    4096   0       1     0        4      1       2
gfx942       layer_norm            backward     any    8192   0       1     0        8      1       1
gfx942       layer_norm            sums         any    8192   0       64    32       4      1       1
gfx942       linear_cross_entropy  loss         any    0      0       1     4096     4      1       1
"""


HEADER = TABLE.strip().splitlines()[0]


@dataclass(frozen=True)
class Config:
    """One launch configuration; TABLE says what the fields count."""

    rows: int
    columns: int = 0
    num_warps: int = 4
    num_stages: int = 2
    waves: int = 1

    def options(self) -> dict[str, int]:
        """What the compiler is told."""
        return {"num_warps": self.num_warps, "num_stages": self.num_stages}


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    family: str
    op: str
    kernel: str
    dtype: str
    size: int
    length: int
    config: Config


def parse(text: str, origin: str) -> list[Line]:
    """The lines of a table; the first names the columns.

    Raises:
        ValueError: a line that has another number of fields, or something else where a number belongs.
    """
    lines: list[Line] = []
    for number, row in enumerate(text.strip().splitlines()[1:], start=2):
        fields = row.split("#")[0].split()
        if not fields:
            continue
        try:
            family, op, kernel, dtype, *figures = fields
            size, length, rows, columns, warps, stages, waves = (int(figure) for figure in figures)
        except ValueError as error:
            raise ValueError(f"{origin}, line {number}: expected {' '.join(HEADER.split())}, got {row!r}") from error
        lines.append(Line(family, op, kernel, dtype, size, length, Config(rows, columns, warps, stages, waves)))
    return lines


def show(line: Line) -> str:
    """The line as TABLE has it."""
    config = line.config
    figures = (line.size, line.length, config.rows, config.columns, config.num_warps, config.num_stages, config.waves)
    fields = (line.family, line.op, line.kernel, line.dtype, *map(str, figures))
    widths = [len(field) for field in re.findall(r"\w+\s*", HEADER)]
    return "".join(field.ljust(width) for field, width in zip(fields, widths, strict=True)).rstrip()


@cache
def table() -> list[Line]:
    """TABLE, after the lines of the file that $GPT_KERNEL_CONFIGS names."""
    path = os.environ.get("GPT_KERNEL_CONFIGS")
    own = parse(Path(path).read_text(encoding="utf-8"), path) if path else []
    return own + parse(TABLE, "kernels/configs.py")


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
def first(line: Line) -> Iterator[None]:
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
