"""The spec of an op: declarations besides the definition, as `SPEC` in its folder's spec.py.

Timing before a run (`--backend fastest`), benchmarks, the report for a GPU, the search for configurations and the seeded faults
read it; parity reads the op's cases. An op without a spec.py is compared and listed, and takes part in nothing else.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gpt_from_scratch.kernels.benchmarking import Goal, Work
from gpt_from_scratch.kernels.launch_config import Config


@runtime_checkable
class ModelShape(Protocol):
    """The sizes of a model that decide an op's arguments; `models.gpt.GPTConfig` is one."""

    @property
    def n_layer(self) -> int: ...
    @property
    def n_head(self) -> int: ...
    @property
    def kv_heads(self) -> int: ...
    @property
    def head_size(self) -> int: ...
    @property
    def n_embd(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def bias(self) -> bool: ...
    @property
    def qk_norm(self) -> bool: ...
    @property
    def activation(self) -> str: ...
    @property
    def mlp_size(self) -> int: ...
    @property
    def has_mlp_bias(self) -> bool: ...


class Draw:
    """Random tensors on a device, the same at each call: what `Spec.example` makes its arguments of."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.dtype = device, dtype
        self.generator = torch.Generator().manual_seed(0)

    def parameter(self, *shape: int, std: float = 1.0) -> Float[Tensor, "..."]:
        """Normal numbers in fp32; on the device "meta" none at all."""
        if self.device.type == "meta":
            return torch.empty(shape, device=self.device)
        return (torch.randn(shape, generator=self.generator) * std).to(self.device)

    def activations(self, *shape: int) -> Float[Tensor, "..."]:
        """Normal numbers in the activations' dtype."""
        return self.parameter(*shape).to(self.dtype)

    def integers(self, below: int, *shape: int) -> Int[Tensor, "..."]:
        """Numbers from 0 to below - 1."""
        return torch.randint(below, shape, generator=self.generator).to(self.device)


@dataclass(frozen=True)
class Fault:
    """A defect that the interpreter's tests put into a kernel's source and that parity must catch.

    Attributes:
        module: where `old` stands, and `new` is put; a file of the op's folder, or "OTHER_OP.FILE".
        case: the name of the parity case that must fail.
    """

    name: str
    module: str
    old: str
    new: str
    case: str


@dataclass(frozen=True)
class Tuning:
    """A kernel whose configuration `benchmarks.tune_kernels` searches.

    Attributes:
        kernel: its name in the lines of configurations.
        sizes: head sizes or widths to tune at; 0 where the op has none.
        candidates: what is worth a try; what does not fit a chip fails when it is compiled.
        work: what is timed at a size.
    """

    kernel: str
    sizes: tuple[int, ...]
    candidates: Callable[[], Iterator[Config]]
    work: Callable[[int], Work]


def nothing_outside(work: Work, device: str, dtype: torch.dtype) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Default: no other implementation to compare with."""
    yield from ()


@dataclass(frozen=True)
class Spec:
    """Everything about an op except its definition, cases and backends.

    Attributes:
        example: the op's arguments in a training step of so many rows of so many tokens, as a model lays them out.
        calls: how often a forward pass of a model calls the op; where it does not, there is nothing to time.
        between_blocks: it is called outside a model's blocks only, which are what `--compile` compiles.
        work: FLOPs and bytes of one call in such a step, for elements of so many bytes.
        small: more work, for a CPU; `large` more for a GPU.
        outside: names and functions of what others have for the same, for a piece of work on a device.
        goals: what the op's own kernel should reach on a GPU.
        lines: launch configurations of its kernels, a table with a header, as `triton_tools.configs` reads them.
        tuning: which of them are searched.
        faults: defects that parity must catch.
    """

    example: Callable[[ModelShape, int, int, Draw], dict[str, Any]] | None = None
    calls: Callable[[ModelShape], int] = lambda shape: 0
    between_blocks: bool = False
    work: Callable[[ModelShape, int, int, int], Work] | None = None
    small: tuple[Work, ...] = ()
    large: tuple[Work, ...] = ()
    outside: Callable[[Work, str, torch.dtype], Iterator[tuple[str, Callable[..., Any]]]] = nothing_outside
    goals: tuple[Goal, ...] = ()
    lines: str = ""
    tuning: tuple[Tuning, ...] = ()
    faults: tuple[Fault, ...] = ()
