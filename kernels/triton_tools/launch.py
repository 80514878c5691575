"""Launch of Triton kernels, on a GPU, in Triton's interpreter, or recorded for the inspector of machine code.

`launch` runs a kernel. Under `recording` it only records the launch, so the inspector compiles the argument types and
configurations of the op's own code. This file does not import triton, which may be missing.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gpt_from_scratch.kernels.launch_config import Config


@dataclass(frozen=True)
class Launch:
    """One kernel launch, with everything that determines its machine code."""

    kernel: Any
    grid: tuple[int, ...]
    arguments: tuple[Any, ...]
    constants: dict[str, Any]
    config: Config


_records: list[Launch] | None = None


@contextlib.contextmanager
def recording() -> Iterator[list[Launch]]:
    """Collect launches instead of running them: `python -m gpt_from_scratch.kernels --inspect` compiles what it got."""
    global _records
    before, _records = _records, []
    try:
        yield _records
    finally:
        _records = before


def launch(kernel: Any, grid: tuple[int, ...], config: Config, *arguments: Any, **constants: Any) -> None:
    """Run `kernel` on `grid` with the positional `arguments` (the first is a tensor) and its constexpr `constants`.

    Multiply-add fusion is asked for by name, since triton's default for it changed between versions.
    """
    first: Tensor = arguments[0]
    if _records is not None:
        _records.append(Launch(kernel, grid, arguments, constants, config))
    elif min(grid) > 0:
        with torch.cuda.device(first.device) if first.is_cuda else contextlib.nullcontext():
            kernel[grid](*arguments, **constants, **config.options(), enable_fp_fusion=True)


def opaque(name: str, shapes: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function that launches kernels one operation to torch.compile; in eager it is called as it is.

    A registered operation costs 5 to 10 µs more a call than a function, and an eager call needs none. What the compiler
    runs on fake tensors is `shapes`, which returns empty outputs. Annotations must be torch.library's: plain `Tensor`,
    numbers, and tuples of them. No output may share memory with an input.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        operation = torch.library.custom_op(f"gpt_from_scratch::{name}", function, mutates_args=())
        operation.register_fake(shapes)

        def call(*arguments: Any) -> Any:
            return operation(*arguments) if torch.compiler.is_compiling() else function(*arguments)

        return call

    return register


def rows_of(x: Tensor) -> Tensor:
    """x as a matrix of its last dimension, copied only where its rows are not evenly spaced or their elements apart."""
    matrix = x.reshape(x.shape[:-1].numel(), x.shape[-1])
    return matrix if matrix.stride(1) == 1 else matrix.contiguous()


def multiprocessors(x: Tensor) -> int:
    """Streaming multiprocessors of x's GPU. The inspector's has an H100's 132, the interpreter 8: loops turn more than once."""
    if x.is_cuda:
        return torch.cuda.get_device_properties(x.device).multi_processor_count
    return 132 if x.is_meta else 8


def input_precision(x: Tensor) -> str:
    """Precision of `tl.dot` for fp32: exact, unless `torch.set_float32_matmul_precision` has allowed TF32 everywhere."""
    exact = x.dtype != torch.float32 or torch.get_float32_matmul_precision() == "highest"
    return "ieee" if exact else "tf32"
