"""Backends of each op side by side, grouped by op and shape, forward and forward + backward, on whatever device is there."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from gpt_from_scratch.benchmarks.gpu.kernel_work import (
    Work,
    contenders,
    forward_and_backward,
    like_outputs,
    on_gpu,
    small,
)
from gpt_from_scratch.support.devices import accelerator

DEVICE = accelerator().type
DTYPE = torch.bfloat16 if DEVICE == "cuda" else torch.float32
CASES = [
    pytest.param(work, name, function, id=f"{work.op} {work.shape} {name}".replace(" ", "-"))
    for work in (on_gpu() if DEVICE == "cuda" else small())
    for name, function in contenders(work, DEVICE, DTYPE).items()
]


@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
@pytest.mark.parametrize(("work", "name", "function"), CASES)
def test_kernel(benchmark: Any, work: Work, name: str, function: Callable[..., Any], direction: str) -> None:
    torch.manual_seed(0)
    inputs = work.inputs(DEVICE, DTYPE)
    benchmark.group = f"{work.op} {work.shape} {direction}"
    benchmark.extra_info["contender"] = name
    upstream = like_outputs(function, inputs)

    def once() -> None:
        if direction == "forward":
            with torch.no_grad():
                function(**inputs)
        else:
            forward_and_backward(function, inputs, upstream)
        if DEVICE != "cpu":
            torch.accelerator.synchronize()

    once()
    benchmark.pedantic(once, rounds=15, iterations=1, warmup_rounds=2)
