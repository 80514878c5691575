"""Timing of all usable backends of an op, forward and backward, interleaved in one process.

The fastest kernel depends on the shape, so a run with `--backend fastest` measures with its own shapes.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gpt_from_scratch.kernels.backends import Choice
from gpt_from_scratch.kernels.proof.check import fault
from gpt_from_scratch.kernels.registry import Op

ROUNDS = 7
ENOUGH_SECONDS = 0.3  # maximum seconds of a backend's rounds, after the third round


@dataclass(frozen=True)
class Timing:
    """The timing of one backend of one op.

    Attributes:
        seconds: median of the rounds, forward and backward; None if it was not timed.
        first_call: seconds of the first call, compilation included.
        why_not: why it was not timed.
    """

    op: str
    backend: str
    seconds: float | None = None
    first_call: float = 0.0
    why_not: str | None = None


def time_backends(
    made: Op[Any],
    arguments: Mapping[str, Any],
    device: torch.device,
    *,
    skip: Mapping[str, str] | None = None,
    on_start: Callable[[str, str], None] = lambda op, backend: None,
) -> list[Timing]:
    """Time every backend of `made` on `arguments` (tensors on `device`), with gradients of all floating tensors.

    The rounds of all backends are interleaved, so that other load affects them equally.

    Args:
        skip: backends not to time, with the reason for the table.
        on_start: called before a backend's first call, which may compile for seconds.
    """
    steps: dict[str, Callable[[], None]] = {}
    first: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for name in made.backends:
        reason = made.why_not(name, device, **arguments) or (skip or {}).get(name)
        if reason is None and made.is_foreign(name):
            dtype = next(x.dtype for x in arguments.values() if isinstance(x, Tensor) and x.is_floating_point())
            wrong = fault(made, name, device.type, dtype)
            reason = None if wrong is None else f"wrong, so not timed: {wrong}"
        if reason is not None:
            reasons[name] = reason
            continue
        on_start(made.name, name)
        step = _forward_and_backward(made, name, arguments)
        try:
            first[name] = _seconds(step, device)
        except Exception as error:  # from a compiler, a library or the user: the other backends can still be used
            if name == "reference":
                raise
            reasons[name] = (
                f"failed at its first call: {type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
            )
            continue
        steps[name] = step
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            if len(taken[name]) < 3 or sum(taken[name]) < ENOUGH_SECONDS:
                taken[name].append(_seconds(step, device))
    return [
        Timing(made.name, name, why_not=reasons[name])
        if name in reasons
        else Timing(made.name, name, statistics.median(taken[name]), first[name])
        for name in made.backends
    ]


def winners(timings: Sequence[Timing]) -> list[Choice]:
    """The fastest backend of each op, with its time and speed-up as the reason."""
    choices = []
    for op in dict.fromkeys(timing.op for timing in timings):
        timed = {t.backend: t.seconds for t in timings if t.op == op and t.seconds is not None}
        best = min(timed, key=lambda name: timed[name])
        reason = f"the fastest of {len(timed)} here: {timed[best] * 1e3:.3g} ms"
        if best != "reference":
            reason += f", {timed['reference'] / timed[best]:.1f} times the reference's speed"
        choices.append(Choice(op, best, reason))
    return choices


def _forward_and_backward(made: Op[Any], backend: str, arguments: Mapping[str, Any]) -> Callable[[], None]:
    leaves = {
        name: value.detach().requires_grad_()
        for name, value in arguments.items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    given = {**arguments, **leaves}
    grads: list[Tensor] = []

    def step() -> None:
        result = made(**given, backend=backend)
        outputs = result if isinstance(result, tuple) else (result,)
        if not grads:
            grads.extend(torch.randn_like(output) for output in outputs)
        torch.autograd.grad(outputs, list(leaves.values()), grads)

    return step


def _seconds(step: Callable[[], None], device: torch.device) -> float:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    start = time.perf_counter()
    step()
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter() - start
