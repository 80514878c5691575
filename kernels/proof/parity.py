"""The parity rule: the definition of "equal to the reference", used by the tests and the GPU report.

The error against the truth (the reference in fp64, on the CPU) is at most twice (gradients: three times) the error that
the reference itself makes in the same dtype, plus 4·eps(dtype)·S, where S is the scale of the intermediate values that the
op declares. The first term is flash-attention's rule; without the second torch's own kernels fail. No hand-tuned tolerance.

A sum over rows has a stricter S, for Σ |term| grows with the rows until it hides an accumulator in bf16: terms and result may
each be rounded to the dtype, 2·eps(dtype)·(√Σ term² + |result|), but they are added in fp32, 4·eps(fp32)·Σ |term|.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gpt_from_scratch.kernels.cases import Case, SumScale
from gpt_from_scratch.kernels.registry import Op
from gpt_from_scratch.kernels.requirements import TOOLCHAINS


def compared(made: Op[Any]) -> list[str]:
    """The backends that this process compares with the reference: all, or under an interpreter those that it can run."""
    names = [name for name in made.backends if name != "reference"]
    if any(needs.interpreted() for needs in TOOLCHAINS.values()):
        return [name for name in names if made.backends[name].needs.interpreted()]
    return names


def chosen(made: Op[Any], backend: str) -> Iterator[tuple[Case, torch.dtype]]:
    """The cases and dtypes on which one backend is compared."""
    declared = list(made.declared_cases())
    names = {case.name for case in declared}
    compiled = [case.name for case in declared if case.compiled] or [declared[0].name]
    interpreted = any(needs.interpreted() for needs in TOOLCHAINS.values())  # its bf16 dot is wrong (triton#11584)
    for case in made.cases():
        if interpreted and case.large:
            continue
        if backend == "compiled":  # the reference, compiled: only a few shapes, since each takes seconds
            if case.name in compiled:
                yield case, torch.float32
        elif case.name in names:
            yield from ((case, dtype) for dtype in (torch.float32, torch.float16 if interpreted else torch.bfloat16))
        else:  # layouts: one dtype is enough
            yield case, torch.float32


@dataclass(frozen=True)
class Difference:
    """One output or gradient of a backend: its error against the truth, the reference's own, and what is allowed."""

    name: str
    error: float
    allowed: float
    own: float

    @property
    def is_right(self) -> bool:
        """Whether the error is within the limit; NaN is not."""
        return self.error <= self.allowed

    def __str__(self) -> str:
        return f"{self.name}: error {self.error:.3g}, allowed {self.allowed:.3g} (the reference makes {self.own:.3g})"


def check_parity(made: Op[Any], backend: str, case: Case, dtype: torch.dtype, device: str) -> None:
    """Raise AssertionError, naming every output and gradient, unless `backend` follows the rule on this case."""
    wrong = [str(found) for found in differences(made, backend, case, dtype, device) if not found.is_right]
    assert not wrong, "; ".join(wrong)


def differences(made: Op[Any], backend: str, case: Case, dtype: torch.dtype, device: str) -> list[Difference]:
    """Every output and gradient of `backend` on this case; AssertionError where one has another dtype or shape."""
    inputs = case.make(torch.Generator().manual_seed(0), dtype)
    truth, grads = evaluate(made.reference, promoted(inputs), case, None)
    scale = made.scale(tuple(grads), **promoted(inputs))
    moved = {name: x.to(device) if isinstance(x, Tensor) else x for name, x in inputs.items()}
    plain, _ = evaluate(made.reference, moved, case, grads)
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    fast, _ = evaluate(lambda **arguments: made(**arguments, backend=backend), moved, case, grads)
    if (
        backend == "compiled"
    ):  # past its limit torch.compile runs eager, and the reference would be compared with itself
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > graphs, "no graph was compiled"
    found = []
    for name, exact in truth.items():
        assert fast[name].dtype == plain[name].dtype, (
            f"{name}: {fast[name].dtype}, the reference gives {plain[name].dtype}"
        )
        assert fast[name].shape == exact.shape, f"{name}: {tuple(fast[name].shape)}, not {tuple(exact.shape)}"
        error, own = (largest_difference(side[name], exact) for side in (fast, plain))
        allowed = (3 if name.startswith("grad") else 2) * own + rounding(scale[name], exact, dtype)
        found.append(Difference(name, error, allowed, own))
    return found


def rounding(scale: float | SumScale, exact: Float[Tensor, "*s"], dtype: torch.dtype) -> float:
    """Bound of the rounding error in `dtype` for a value of this scale."""
    eps = torch.finfo(dtype).eps
    if not isinstance(scale, SumScale):
        return 4 * eps * scale
    added = torch.finfo(torch.promote_types(dtype, torch.float32)).eps
    largest = float(exact.abs().max()) if exact.numel() else 0.0
    return 2 * eps * (scale.rounding + largest) + 4 * added * scale.terms


def evaluate(
    function: Callable[..., Any], arguments: dict[str, Any], case: Case, grads: list[Tensor] | None
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Outputs and gradients by name, and the output gradients used: random ones (fp64) if `grads` is None."""
    leaves = {name: x for name, x in arguments.items() if isinstance(x, Tensor) and x.is_floating_point()}
    arguments = {**arguments, **{name: x.detach().requires_grad_() for name, x in leaves.items()}}
    result = function(**arguments)
    outputs = result if isinstance(result, tuple) else (result,)
    if grads is None:
        generator = torch.Generator().manual_seed(1)
        grads = [
            laid_out(torch.randn(out.shape, generator=generator).bfloat16().double(), case.grad) for out in outputs
        ]
    wrt = [arguments[name] for name in leaves]
    sent = [laid_out(g.to(out.device, out.dtype), case.grad) for g, out in zip(grads, outputs, strict=True)]
    got = torch.autograd.grad(outputs, wrt, sent, allow_unused=True)
    named = {"output" if i == 0 else f"output {i}": out.detach() for i, out in enumerate(outputs)}
    for name, leaf, grad in zip(leaves, wrt, got, strict=True):
        assert grad is None or grad.dtype == leaf.dtype
        named[f"grad {name}"] = torch.zeros_like(leaf) if grad is None else grad
    return named, grads


def laid_out(grad: Float[Tensor, "*s"], layout: str) -> Float[Tensor, "*s"]:
    """The same gradient in another memory layout ("expanded": the first row everywhere, with stride 0)."""
    if grad.ndim == 0 or grad.numel() == 0 or layout == "dense":
        return grad
    if layout == "expanded":
        return grad.flatten()[0].expand(grad.shape)
    if layout == "strided":
        wide = torch.zeros(*grad.shape[:-1], 2 * grad.shape[-1], dtype=grad.dtype, device=grad.device)
        wide[..., ::2] = grad
        return wide[..., ::2]
    if layout == "transposed":
        return grad.transpose(0, -1).contiguous().transpose(0, -1)
    if layout == "sliced":
        return torch.cat([torch.full_like(grad, float("nan")), grad], dim=-1)[..., grad.shape[-1] :]
    raise ValueError(layout)


def promoted(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with every floating tensor in fp64."""
    return {n: x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for n, x in arguments.items()}


def largest_difference(value: Float[Tensor, "*s"], exact: Float[Tensor, "*s"]) -> float:
    """The largest absolute difference, computed in fp64; 0 for empty tensors."""
    return float((value.cpu().double() - exact).abs().max()) if exact.numel() else 0.0
