"""The work that kernels are compared on, as each op declares it, and who competes on it.

Used by `pytest benchmarks`, by gpu_report and by the roofline page, so that all three speak of the same thing.
"""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gpt_from_scratch.kernels.benchmarking import Deterministic, Work, deterministic
from gpt_from_scratch.kernels.registry import load_ops
from gpt_from_scratch.models.gpt import GPTConfig


def gpt2_step(batch: int = 32, tokens: int = 1024) -> list[tuple[int, Work]]:
    """(calls a training step, work) of GPT-2 124M, in bf16."""
    shape, specs = GPTConfig(), [made.spec for made in load_ops().values()]
    return [(s.calls(shape), s.work(shape, batch, tokens, 2)) for s in specs if s.work is not None and s.calls(shape)]


def small() -> list[Work]:
    """Shapes for a CPU: the presets' for a laptop."""
    return [work for made in load_ops().values() for work in made.spec.small]


def on_gpu() -> list[Work]:
    """GPT-2's shapes first, then the ops' others."""
    return [work for _, work in gpt2_step()] + [work for made in load_ops().values() for work in made.spec.large]


def contenders(work: Work, device: str, dtype: torch.dtype) -> dict[str, Callable[..., Any]]:
    """Name → a function of the op's arguments. Ours have the backend's name; "outside" ones what people would call."""
    made = load_ops()[work.op]
    ours = {name: partial(made, backend=name) for name in made.backends if made.why_not(name, device) is None}
    outside = {f"outside {name}": function for name, function in made.spec.outside(work, device, dtype)}
    return {**ours, **outside}


def forward_and_backward(function: Callable[..., Any], inputs: dict[str, Any], upstream: Any) -> None:
    """One call and its gradients, which are dropped. `upstream` is what `like_outputs` made."""
    with deterministic() if isinstance(function, Deterministic) else contextlib.nullcontext():
        outputs = function(**inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        leaves = [x for x in inputs.values() if isinstance(x, Tensor) and x.requires_grad]
        torch.autograd.grad(outputs, leaves, upstream)


def like_outputs(function: Callable[..., Any], inputs: dict[str, Any]) -> list[Tensor]:
    """Random gradients of the outputs; of a loss 1."""
    with torch.no_grad():
        outputs = function(**inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return [torch.randn_like(out) if out.ndim else torch.ones_like(out) for out in outputs]
