"""Every backend of every op against the truth: generated from the registry, so a new kernel needs no new test.

The rule is kernels/proof/parity.py's.
"""

import os
from typing import Any

import pytest
import torch

from gpt_from_scratch.kernels.cases import Case
from gpt_from_scratch.kernels.proof.nan_guards import GuardedAllocations, surrounded
from gpt_from_scratch.kernels.proof.parity import check_parity, chosen, compared
from gpt_from_scratch.kernels.registry import Op, load_ops

DEVICES = (
    ["cpu"] + (["cuda"] if torch.cuda.is_available() else []) + (["mps"] if torch.backends.mps.is_available() else [])
)
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


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
