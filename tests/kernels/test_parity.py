"""Every backend of every op against the truth: generated from the registry, so a new kernel needs no new test.

The rule is kernels/parity.py's.
"""

import os
from typing import Any

import pytest
import torch

from gpt_from_scratch.kernels.cases import Case
from gpt_from_scratch.kernels.guards import GuardedAllocations, surrounded
from gpt_from_scratch.kernels.parity import check_parity, compared
from gpt_from_scratch.kernels.registry import Op, load_ops

DEVICES = (
    ["cpu"] + (["cuda"] if torch.cuda.is_available() else []) + (["mps"] if torch.backends.mps.is_available() else [])
)
DTYPES = [torch.float32, torch.bfloat16]
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # its bf16 dot is wrong (triton#11584): fp16 stands in for it


def parity_parameters() -> list[Any]:
    parameters = []
    for made in load_ops().values():
        for backend in compared(made):
            for case in made.cases():
                if INTERPRETED and case.large:
                    continue
                for dtype in [torch.float32, torch.float16] if INTERPRETED else DTYPES:
                    for device in DEVICES:
                        if backend == "compiled" and (
                            dtype != torch.float32 or case.name not in COMPILED_CASES.get(made.name, ())
                        ):
                            continue  # the same definition through one compiler: a few shapes, each costs seconds
                        parameters.append(
                            pytest.param(
                                made,
                                backend,
                                case,
                                dtype,
                                device,
                                id=f"{made.name}-{backend}-{case.name}-{str(dtype).removeprefix('torch.')}-{device}",
                                marks=[pytest.mark.compile] if backend == "compiled" else [],
                            )
                        )
    return parameters


COMPILED_CASES = {
    "attention": {"causal-t97", "ragged"},
    "layer_norm": {"width-768", "grad-expanded"},
    "add_layer_norm": {"width-768"},
    "linear_cross_entropy": {"mean-some-ignored"},
}


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
