"""List every op and backend, and why it cannot run here; with --inspect, analyse the kernels' machine code.

    gpt kernels                                  # backends on this machine
    gpt kernels --device cuda                    # backends on a CUDA device
    gpt kernels check --backend-module my_kernels.py     # test your own backends; exit status 1: one is wrong
    gpt kernels --inspect --target sm_90         # compile for a Hopper GPU, without one

An op uses the backend that is marked as chosen, unless a run or GPT_BACKEND names another.
"""

if __name__ == "__main__":  # at the top: Ctrl-C is one line while the rest is imported, too
    from gpt_from_scratch.support.command_line.command import run_command

    run_command("kernels", "gpt_from_scratch.kernels.__main__:main")


import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gpt_from_scratch.kernels.launch_config import FAMILIES
from gpt_from_scratch.support.command_line.arguments import ArgumentParser, a_path
from gpt_from_scratch.support.command_line.command import ending_at_once

if TYPE_CHECKING:
    from rich.console import Console


def print_backends(device: str, console: "Console") -> None:
    """Print the table of ops and backends, with the default of each op marked."""
    from rich.table import Table

    from gpt_from_scratch.kernels.registry import load_ops

    table = Table("op", "backend", f"on {device}", title="An op uses the marked backend by default.")
    for made in load_ops().values():
        chosen = made.choose(device)
        for name in made.backends:
            reason = made.why_not(name, device)
            state = (
                f"chosen: {chosen.reason}"
                if name == chosen.backend
                else "usable"
                if reason is None
                else f"no: {reason}"
            )
            table.add_row(made.name, name, state, style="bold" if name == chosen.backend else None)
        table.add_section()
    console.print(table, markup=False)


def inspect_kernels(targets: list[str], which: str, out: Path | None, console: "Console") -> int:
    """Compile the kernels for the targets and print the table; returns the number of problems."""
    from gpt_from_scratch.kernels.requirements import TRITON, missing_package

    if (reason := missing_package(TRITON)) is not None:
        raise RuntimeError(f"--inspect compiles with triton: {reason}")
    if os.environ.get("TRITON_INTERPRET") == "1":
        raise ValueError("--inspect compiles kernels, but TRITON_INTERPRET=1 interprets them: unset it")
    from gpt_from_scratch.kernels.proof import inspection  # imports triton, which may be missing

    choose = inspection.everything if which == "everything" else inspection.covering
    subjects = [subject for target in targets for subject in choose(target)]
    codes = inspection.inspect(subjects)
    inspection.show(codes, console)
    complaints = [line for subject in subjects for line in inspection.complaints(subject, codes[subject.key])]
    for line in complaints:
        console.print(line, markup=False)
    if out is not None:
        inspection.write_table(out, codes)
    return min(len(complaints), 100)


def check(op: str | None, device: str, console: "Console") -> int:
    """Print the parity results of external (else our) backends; returns 1 if one is wrong or not tested.

    Raises:
        ValueError: the op has no backend to compare on this device.
    """
    from gpt_from_scratch.kernels.outside.modules import foreign_backends
    from gpt_from_scratch.kernels.proof.check import check_backend
    from gpt_from_scratch.kernels.proof.parity import compared
    from gpt_from_scratch.kernels.registry import load_ops

    foreign = list(foreign_backends())
    every = foreign or [(made, name) for made in load_ops().values() for name in compared(made)]
    wanted = [(made, name) for made, name in every if op in (None, made.name)]
    usable = [(made, name) for made, name in wanted if made.why_not(name, device) is None]
    for made, name in wanted if foreign else ():
        if (reason := made.why_not(name, device)) is not None:
            console.print(f"{made.name} {name}: not tested: {reason}", markup=False, soft_wrap=True)
    if not usable:
        raise ValueError(
            f"there is no backend of {op or 'any op'} to test on {device}: give yours with --backend-module"
        )
    bad = len(wanted) - len(usable) if foreign else 0
    for made, name in usable:
        groups = []
        for group in check_backend(made, name, device):
            console.print(str(group), markup=False, highlight=False, soft_wrap=True)
            groups.append(group)
        right = all(group.wrong is None for group in groups) and any(group.compared for group in groups)
        bad += not right
        cases = sum(group.compared for group in groups)
        console.print(
            f"{made.name} {name}: {'right' if right else 'REFUSED'} ({cases} cases)", markup=False, soft_wrap=True
        )
    return 1 if bad else 0


def main(words: list[str] | None = None) -> int:
    """Parse the arguments and print the table; returns the exit status."""
    parser = ArgumentParser(prog="gpt kernels", description=__doc__)
    parser.add_argument("command", nargs="?", choices=("check",), help="check: compare backends with the reference")
    parser.add_argument(
        "--backend-module",
        action="append",
        default=[],
        metavar="MODULE",
        help="your backends: my_kernels.py, package.module, hub:org/name or a folder of the kernels library; repeatable",
    )
    parser.add_argument("--op", help="check only the backends of this op")
    parser.add_argument("--device", help="device type to list (default: the accelerator's, else cpu)")
    parser.add_argument(
        "--inspect",
        action="store_true",
        help="compile the Triton kernels, without a GPU, and show figures of their machine code",
    )
    parser.add_argument("--target", choices=FAMILIES, help="a chip family (default: all)")
    parser.add_argument(
        "--set",
        choices=("covering", "everything"),
        default="covering",
        help="which kernels to compile (default: %(default)s)",
    )
    parser.add_argument("--out", type=a_path, help="also write the table to this file, as JSON")
    arguments = parser.parse_args(words)
    if arguments.out is not None and arguments.out.is_dir():
        parser.error(f"--out {arguments.out} is a folder: give the name of a file, as {arguments.out / 'kernels.json'}")
    with ending_at_once("gpt kernels"):
        from rich.console import Console

        from gpt_from_scratch.support.devices import accelerator
    console = Console() if sys.stdout.isatty() else Console(width=140)
    if arguments.inspect:
        targets = [arguments.target] if arguments.target else list(FAMILIES)
        return inspect_kernels(targets, arguments.set, arguments.out, console)
    from gpt_from_scratch.kernels.outside.modules import import_backends
    from gpt_from_scratch.kernels.registry import folders

    if arguments.op is not None and arguments.op not in folders():
        parser.error(f"--op {arguments.op}: there is no such op; there are {', '.join(folders())}")
    import_backends(arguments.backend_module)
    device = arguments.device or accelerator().type
    if arguments.command == "check":
        return check(arguments.op, device, console)
    print_backends(device, console)
    return 0
