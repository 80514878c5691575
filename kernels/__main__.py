"""Print every op and backend: usable here, or why not.

python -m gpt_from_scratch.kernels [--device cpu|cuda|mps]
"""

import argparse

import torch
from rich.console import Console
from rich.table import Table

from gpt_from_scratch.kernels.registry import load_ops


def default_device() -> str:
    """The accelerator if there is one, else "cpu"."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return accelerator.type if accelerator is not None else "cpu"


def print_backends(device: str, console: Console) -> None:
    """The table of op × backend; the one that a call would take is marked."""
    table = Table("op", "backend", f"on {device}", title="An op takes the marked backend unless told otherwise.")
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


def main() -> None:
    """Parse the arguments and print the table."""
    parser = argparse.ArgumentParser(prog="python -m gpt_from_scratch.kernels", description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default=default_device(), help="device type to answer for (default: %(default)s)")
    print_backends(parser.parse_args().device, Console())


if __name__ == "__main__":
    main()
