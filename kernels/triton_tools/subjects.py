"""Subjects of the inspector: a launch, the chip family it is for, and the name of what it was launched for."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor

from gpt_from_scratch.kernels.triton_tools import configs
from gpt_from_scratch.kernels.triton_tools.launch import Launch, recording

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True)
class Subject:
    """One kernel in one configuration on one chip family; `variant` names what it was launched for."""

    family: str
    variant: str
    launch: Launch
    multiplies: bool = False
    """It must have matrix instructions."""

    @property
    def key(self) -> str:
        """The row's name."""
        return f"{self.family} {self.launch.kernel.__name__} {self.variant}"


def launched(
    family: str, variant: str, call: Callable[[], object], multiplying: Collection[str] = ()
) -> Iterator[Subject]:
    """Record the launches of `call` for a chip family; nothing runs. `multiplying` are kernels with matrix products."""
    with configs.pretending(family), recording() as launches:
        call()
    yield from (Subject(family, variant, launch, launch.kernel.__name__ in multiplying) for launch in launches)


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Shaped[Tensor, "..."]:
    """A tensor with a shape and nothing else."""
    return torch.empty(shape, dtype=dtype, device="meta")
