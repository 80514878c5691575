"""Every kernel with every configuration that ships, compiled for every chip family.

`python -m gpt_from_scratch.kernels --inspect` prints it. The whole table is committed with a hash of the kernels' code,
so that it cannot go stale unseen; CI compiles `covering`.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from rich.console import Console
from rich.table import Table
from torch import Tensor

from gpt_from_scratch.kernels import configs
from gpt_from_scratch.kernels.attention import triton_kernel as attention
from gpt_from_scratch.kernels.launch import Launch, recording
from gpt_from_scratch.kernels.layer_norm import triton_norm
from gpt_from_scratch.kernels.linear_cross_entropy import triton_loss
from gpt_from_scratch.kernels.machine_code import CHIPS, MachineCode, compile_for
from gpt_from_scratch.kernels.sources import source_hash
from gpt_from_scratch.support.files import write_text

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
HEADS = (64, 80, 128)  # the lines of configs.TABLE, and a head that is two tiles where that works
WIDTHS = (768, 1600, 4096, 8192)


@dataclass(frozen=True)
class Subject:
    """One kernel in one configuration on one chip family; `variant` names what it was launched for."""

    family: str
    variant: str
    launch: Launch

    @property
    def key(self) -> str:
        """The row's name."""
        return f"{self.family} {self.launch.kernel.__name__} {self.variant}"


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A tensor with a shape and nothing else."""
    return torch.empty(shape, dtype=dtype, device="meta")


def attention_subjects(
    family: str, dtype: str, head_size: int, *, causal: bool = True, ragged: bool = False, tokens: int = 1024
) -> Iterator[Subject]:
    """GPT-2's packed projection at 12 heads; `ragged` has the lengths of a batch's rows, `tokens` 1 decodes."""
    with configs.pretending(family), recording() as launches:
        packed = empty(8, tokens, 36, head_size, dtype=DTYPES[dtype]).transpose(1, 2)
        q, k, v = packed.split(12, dim=1)
        lengths = empty(8, dtype=torch.int64) if ragged else None
        if tokens == 1:
            k, v = (empty(8, 12, 1024, head_size, dtype=DTYPES[dtype]) for _ in range(2))
        out, lse = attention.forward(q, k, v, lengths, causal, 0.125)
        if tokens > 1:
            attention.backward(out, q, k, v, lengths, out, lse, causal, 0.125)
    variant = f"{dtype} d={head_size}" + (" full" if not causal else "") + (" ragged" if ragged else "")
    yield from (Subject(family, variant + (" decode" if tokens == 1 else ""), launch) for launch in launches)


def norm_subjects(family: str, dtype: str, width: int) -> Iterator[Subject]:
    """The norm after a residual addition, with fp32 parameters: all that the kernels can do."""
    with configs.pretending(family), recording() as launches:
        x, weight = empty(32768, width, dtype=DTYPES[dtype]), empty(width)
        _, total, mean, rstd = triton_norm.forward(x, x, weight, weight, 1e-5)
        triton_norm.backward(x, x, total, weight, mean, rstd, torch.float32)
    yield from (Subject(family, f"{dtype} width={width}", launch) for launch in launches)


def loss_subjects(family: str, dtype: str, vocabulary: int = 50257) -> Iterator[Subject]:
    """The loss with its gradient."""
    with configs.pretending(family), recording() as launches:
        hidden, weight = empty(4096, 768, dtype=DTYPES[dtype]), empty(vocabulary, 768)
        triton_loss.losses_and_gradients(hidden, weight, empty(4096, dtype=torch.int64), None, -100, True, True)
    yield from (Subject(family, f"{dtype} v={vocabulary}", launch) for launch in launches)


def everything(family: str) -> Iterator[Subject]:
    """Every line of the table of configurations, in every dtype that it serves, at the sizes on both of its sides."""
    for dtype in DTYPES:
        for head_size in HEADS if dtype != "fp32" else HEADS[:1]:
            yield from attention_subjects(family, dtype, head_size)
        yield from attention_subjects(family, dtype, 64, tokens=1)
        yield from norm_subjects(family, dtype, 768)
        yield from loss_subjects(family, dtype)
    for width in WIDTHS[1:]:
        yield from norm_subjects(family, "bf16", width)
    yield from attention_subjects(family, "bf16", 64, causal=False)
    yield from attention_subjects(family, "bf16", 64, ragged=True)


def covering(family: str) -> Iterator[Subject]:
    """What CI compiles: each kernel at GPT-2's sizes, the largest head and the divided one, within two minutes."""
    yield from attention_subjects(family, "bf16", 64)
    yield from attention_subjects(family, "bf16", 64, tokens=1)
    largest = {"sm_80": 128, "sm_90": 128, "sm_100": 80, "gfx942": 80}[family]
    yield from attention_subjects(family, "fp16", largest, ragged=largest == 80)
    yield from norm_subjects(family, "bf16", 768)
    yield from norm_subjects(family, "bf16", triton_norm.WIDEST)
    yield from loss_subjects(family, "bf16")


def complaints(subject: Subject, code: MachineCode) -> list[str]:
    """What is wrong with the machine code: spills, too much shared memory, no matrix instructions where a product is."""
    chip = CHIPS[subject.family]
    exact = subject.variant.startswith(
        "fp32"
    )  # fp32 is multiplied without matrix instructions, and may spill: the exact path
    found = [f"{code.spilled} bytes of spilled registers"] if code.spilled and not exact else []
    if code.shared > chip.shared_program:
        found.append(f"{code.shared} bytes of shared memory, the chip has {chip.shared_program} a program")
    multiplies = subject.launch.kernel.__name__.startswith("attention")
    if multiplies and not exact and not code.matrix_anywhere:
        found.append("no matrix instructions")
    return [f"{subject.key}: {complaint}" for complaint in found]


def inspect(subjects: list[Subject], workers: int = 2) -> dict[str, MachineCode]:
    """Compile them; most of a compilation is outside Python's lock."""
    with ThreadPoolExecutor(workers) as pool:
        codes = pool.map(lambda subject: compile_for(subject.launch, subject.family), subjects)
        return {subject.key: code for subject, code in zip(subjects, codes, strict=True)}


def write_table(path: Path, codes: dict[str, MachineCode]) -> None:
    """Write what `read_table` reads."""
    rows = ",\n".join(f"  {json.dumps(key)}: {json.dumps(asdict(code))}" for key, code in codes.items())
    head = f'"source": {json.dumps(source_hash())}, "triton": {json.dumps(triton.__version__)}'
    write_text(path, f'{{{head}, "kernels": {{\n{rows}\n}}}}\n')


def read_table(path: Path) -> dict[str, Any]:
    """{"source": hash, "triton": version, "kernels": {key: the fields of MachineCode}}."""
    table: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return table


def show(codes: dict[str, MachineCode], console: Console) -> None:
    """The table for a reader."""
    columns = ("registers", "spilled B", "shared B", "occupancy", "matrix", "exp", "memory", "other")
    table = Table(
        "kernel",
        *columns,
        title=f"Machine code by triton {triton.__version__}; instructions of one tile of the main loop",
    )
    family = ""
    for key, code in codes.items():
        if family and family != key.split()[0]:
            table.add_section()
        family = key.split()[0]
        figures = (
            code.registers,
            code.spilled,
            code.shared,
            f"{code.occupancy:.0%}",
            code.matrix,
            code.exp,
            code.memory,
            code.other,
        )
        table.add_row(key, *map(str, figures))
    console.print(table, markup=False)
