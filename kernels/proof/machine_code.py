"""Analysis of a kernel's machine code without a GPU: registers, spills, shared memory, occupancy, instructions per tile.

A recorded launch is compiled for a target with its argument types, and the machine code is read with the disassemblers of
triton's wheel. These figures show the effect of a change before a GPU can measure it.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from gpt_from_scratch.kernels.triton_tools.launch import Launch

TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
POINTERS = {
    torch.float32: "*fp32",
    torch.float16: "*fp16",
    torch.bfloat16: "*bf16",
    torch.int64: "*i64",
    torch.int32: "*i32",
}


@dataclass(frozen=True)
class Chip:
    """A compile target with the limits from its vendor's documentation."""

    target: GPUTarget
    shared_program: int
    """Bytes of shared memory that one program may have."""
    shared_multiprocessor: int
    registers: int
    """32-bit registers of a multiprocessor (AMD: vector registers of a compute unit)."""
    threads: int
    """Threads that a multiprocessor holds at most."""
    matrix: str
    """The matrix instruction, as a regular expression."""


CHIPS = {
    "sm_80": Chip(GPUTarget("cuda", 80, 32), 99 << 10, 164 << 10, 65536, 2048, r"HMMA"),
    "sm_90": Chip(GPUTarget("cuda", 90, 32), 227 << 10, 228 << 10, 65536, 2048, r"HGMMA|HMMA"),
    "sm_100": Chip(GPUTarget("cuda", 100, 32), 227 << 10, 228 << 10, 65536, 2048, r"UTC\w*MMA|HMMA"),
    "gfx942": Chip(GPUTarget("hip", "gfx942", 64), 64 << 10, 64 << 10, 4 * 512 * 64, 2048, r"v_mfma"),
}
MEMORY = r"LD|ST|ATOM|RED|UTMA|UBLK|ds_|global_|buffer_|flat_"
ATOMIC = r"ATOM(?!S\.(?:AND|OR)\b)|RED(?!UX)|\w+_atomic_|ds_(?:add|sub|rsub|inc|dec|min|max|cmpst|wrxchg)_"
"""Bits set in shared memory are the same in any order: by them a Blackwell program takes and gives back tensor memory."""
EXP = r"MUFU\.EX2|v_exp"


@dataclass(frozen=True)
class MachineCode:
    """One kernel for one target. Instructions are those of a pass of its main loop (the whole kernel, if it has none)."""

    registers: int
    spilled: int
    """Bytes of stack a thread."""
    shared: int
    """Bytes of shared memory a program."""
    occupancy: float
    """Share of the threads that a multiprocessor can hold, as registers and shared memory allow."""
    matrix: int
    exp: int
    memory: int
    other: int
    matrix_anywhere: int
    """Matrix instructions in the whole kernel."""
    atomic: int
    """Atomic instructions in the whole kernel: sums that they make differ from run to run."""


def compile_for(launch: Launch, family: str) -> MachineCode:
    """Compile a recorded launch for a chip family and read its machine code."""
    chip = CHIPS[family]
    compiled = triton.compile(
        source_of(launch), target=chip.target, options={**launch.config.options(), "enable_fp_fusion": True}
    )
    warps, shared = compiled.metadata.num_warps, compiled.metadata.shared
    if family.startswith("gfx"):
        text = compiled.asm["amdgcn"]
        registers = number(r"\.vgpr_count:\s+(\d+)", text)
        spilled = 4 * number(r"\.vgpr_spill_count:\s+(\d+)", text)
    else:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "kernel.cubin"
            file.write_bytes(compiled.asm["cubin"])
            usage = tool("cuobjdump", "--dump-resource-usage", str(file))
            text = tool("nvdisasm", "-c", str(file))
        registers, spilled = number(r"REG:(\d+)", usage), number(r"STACK:(\d+)", usage)
    instructions = read(text)
    loop = main_loop(instructions, chip.matrix)
    return MachineCode(
        registers=registers,
        spilled=spilled,
        shared=shared,
        occupancy=occupancy(chip, registers, shared, warps),
        **count(loop, chip.matrix),
        matrix_anywhere=count(instructions, chip.matrix)["matrix"],
        atomic=sum(re.match(ATOMIC, instruction.opcode) is not None for instruction in instructions),
    )


def source_of(launch: Launch) -> ASTSource:
    """The kernel with its argument types, specialised as triton's launcher does: 1 is a constant, multiples of 16 are known.

    But not of arguments that the kernel declares `do_not_specialize`.
    """
    signature: dict[str, str] = {}
    constants: dict[str, object] = dict(launch.constants)
    attributes: dict[tuple[int, ...], list[list[object]]] = {}
    names = launch.kernel.arg_names
    for index, (name, value) in enumerate(zip(names, launch.arguments, strict=False)):
        if isinstance(value, Tensor):
            signature[name] = POINTERS[value.dtype]
            attributes[(index,)] = [["tt.divisibility", 16]]
        elif isinstance(value, int) and value == 1 and not launch.kernel.params[index].do_not_specialize:
            signature[name] = "constexpr"
            constants[name] = 1
        elif isinstance(value, int):
            signature[name] = "i32" if -(2**31) <= value < 2**31 else "i64"
            if value % 16 == 0 and not launch.kernel.params[index].do_not_specialize:
                attributes[(index,)] = [["tt.divisibility", 16]]
        else:
            signature[name] = "fp32"
    signature |= dict.fromkeys(launch.constants, "constexpr")
    return ASTSource(launch.kernel, {name: signature[name] for name in names}, constants, attributes)


def tool(name: str, *arguments: str) -> str:
    """The output of one of the disassemblers in triton's wheel."""
    return subprocess.run([str(TOOLS / name), *arguments], check=True, capture_output=True, text=True).stdout


def number(pattern: str, text: str) -> int:
    """The number that `pattern` finds."""
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"the disassembler's output has no {pattern!r}: {text[:200]!r}")
    return int(found.group(1))


@dataclass(frozen=True)
class Instruction:
    """One line of machine code: `label` of the line itself, `target` if it jumps."""

    opcode: str
    label: str | None
    target: str | None


def read(text: str) -> list[Instruction]:
    """The instructions of nvdisasm's or LLVM's text, in order."""
    found: list[Instruction] = []
    label = None
    for line in text.splitlines():
        line = line.split("//")[0].split(";")[0].strip()
        if (named := re.match(r"(\.?L\w+):", line)) is not None:
            label = named.group(1)
            continue
        line = re.sub(r"/\*.*?\*/", "", line).strip()
        line = re.sub(r"^@!?U?P\w+\s+", "", line)
        if not line or line.startswith((".", "#")) or (opcode := re.match(r"[A-Za-z_][\w.]+", line)) is None:
            continue
        jump = re.search(r"(?:BRA|s_c?branch)\S*.*?(\.?L\w+)\)?$", line)
        found.append(Instruction(opcode.group(), label, jump.group(1) if jump else None))
        label = None
    return found


def main_loop(instructions: list[Instruction], matrix: str) -> list[Instruction]:
    """The innermost loop with the most matrix instructions, and of those the shortest: the one that masks nothing.

    Where none has any, the longest; without loops, everything.
    """
    labels = {instruction.label: i for i, instruction in enumerate(instructions) if instruction.label}
    loops = [
        (labels[instruction.target], i + 1)
        for i, instruction in enumerate(instructions)
        if instruction.target in labels and labels[instruction.target] <= i
    ]
    innermost = [a for a in loops if not any(a != b and a[0] <= b[0] and b[1] <= a[1] for b in loops)]
    bodies = [instructions[first:last] for first, last in innermost if last - first > 4]
    most = max((count(body, matrix)["matrix"] for body in bodies), default=0)
    if most:
        return min((body for body in bodies if count(body, matrix)["matrix"] == most), key=len)
    return max(bodies, key=len, default=instructions)


def count(body: list[Instruction], matrix: str) -> dict[str, int]:
    """Instructions by class."""
    classes = {"matrix": 0, "exp": 0, "memory": 0, "other": 0}
    for instruction in body:
        for name, pattern in (("matrix", matrix), ("exp", EXP), ("memory", MEMORY), ("other", "")):
            if re.match(pattern, instruction.opcode):
                classes[name] += 1
                break
    return classes


def occupancy(chip: Chip, registers: int, shared: int, warps: int) -> float:
    """Threads at once over the most that a multiprocessor holds."""
    threads: int = warps * chip.target.warp_size
    rounded = max(8, -(-registers // 8) * 8)
    by_registers = chip.registers // (rounded * threads)
    by_shared = chip.shared_multiprocessor // (shared + 1024) if shared else by_registers
    return min(by_registers, by_shared, chip.threads // threads) * threads / chip.threads
