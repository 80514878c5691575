"""Inspection of machine code: every kernel with every shipped configuration, compiled for every chip family.

`python -m gpt_from_scratch.kernels --inspect` prints it. The table is committed with a hash of the kernels' code, so that a
test notices when it is outdated. CI compiles only `covering`.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import triton
from rich.console import Console
from rich.table import Table

from gpt_from_scratch.kernels.proof.machine_code import CHIPS, MachineCode, compile_for
from gpt_from_scratch.kernels.proof.sources import source_hash
from gpt_from_scratch.kernels.registry import load_ops
from gpt_from_scratch.kernels.triton_tools.subjects import Subject
from gpt_from_scratch.support.storage.files import write_text


def everything(family: str) -> Iterator[Subject]:
    """Every kernel with every line of configurations, as each op lists them."""
    return (subject for launches in _launches() for subject in launches.everything(family))


def covering(family: str) -> Iterator[Subject]:
    """A selection that CI compiles, within two minutes."""
    return (subject for launches in _launches() for subject in launches.covering(family))


def _launches() -> Iterator[Any]:
    """The launches.py of each op that has one."""
    return (launches for made in load_ops().values() if (launches := made.part("launches")) is not None)


def complaints(subject: Subject, code: MachineCode) -> list[str]:
    """Problems of machine code: spills, atomics, too much shared memory, or missing matrix instructions."""
    chip = CHIPS[subject.family]
    exact = subject.variant.startswith(
        "fp32"
    )  # fp32 is multiplied without matrix instructions, and may spill: the exact path
    found = [f"{code.spilled} bytes of spilled registers"] if code.spilled and not exact else []
    if code.shared > chip.shared_program:
        found.append(f"{code.shared} bytes of shared memory, the chip has {chip.shared_program} a program")
    if subject.multiplies and not exact and not code.matrix_anywhere:
        found.append("no matrix instructions")
    if code.atomic:
        found.append(f"{code.atomic} atomic instructions: results would differ from run to run")
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
