"""Every backend of every op against the truth: generated from the registry, so a new kernel needs no new test.

The rule is kernels/proof/parity.py's.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from gpt_from_scratch.kernels.cases import Case
from gpt_from_scratch.kernels.proof.nan_guards import GuardedAllocations, surrounded
from gpt_from_scratch.kernels.proof.parity import check_parity, compared
from gpt_from_scratch.kernels.registry import Op, load_ops

DEVICES = (
    ["cpu"] + (["cuda"] if torch.cuda.is_available() else []) + (["mps"] if torch.backends.mps.is_available() else [])
)
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # its bf16 dot is wrong (triton#11584): fp16 stands in for it


def chosen(made: Op[Any], backend: str) -> Iterator[tuple[Case, torch.dtype]]:
    """The cases and dtypes of one backend."""
    declared = list(made.declared_cases())
    names = {case.name for case in declared}
    compiled = [case.name for case in declared if case.compiled] or [declared[0].name]
    dtypes = [torch.float32, torch.float16] if INTERPRETED else [torch.float32, torch.bfloat16]
    for case in made.cases():
        if INTERPRETED and case.large:
            continue
        if backend == "compiled":  # the same definition through one compiler: a few shapes, each costs seconds
            if case.name in compiled:
                yield case, torch.float32
        elif case.name in names:
            yield from ((case, dtype) for dtype in dtypes)
        else:  # another layout: not read otherwise in another dtype
            yield case, torch.float32


def parity_parameters() -> list[Any]:
    return [
        pytest.param(
            made,
            backend,
            case,
            dtype,
            device,
            id=f"{made.name}-{backend}-{case.name}-{str(dtype).removeprefix('torch.')}-{device}",
            marks=[pytest.mark.compile] if backend == "compiled" else [],
        )
        for made in load_ops().values()
        for backend in compared(made)
        for case, dtype in chosen(made, backend)
        for device in DEVICES
    ]


@pytest.mark.parametrize(("made", "backend", "case", "dtype", "device"), parity_parameters())
def test_backend_equals_the_reference(made: Op[Any], backend: str, case: Case, dtype: torch.dtype, device: str) -> None:
    if (reason := made.why_not(backend, device)) is not None:
        pytest.skip(reason if "compiler" in reason and not reason.startswith("no ") else f"no CUDA: {reason}")
    if not INTERPRETED:
        check_parity(made, backend, case, dtype, device)
        return
    with GuardedAllocations() as guards:  # the interpreter lets accesses out of bounds pass
        check_parity(made, backend, surrounded(case), dtype, device)
    guards.check()
