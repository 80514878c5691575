"""Duties of a backward pass beyond its values: no second derivative that is wrong, and no work for frozen tensors.

Generated from the registry; test_interpreted.py runs this file for the backends that an interpreter can run.
"""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from gpt_from_scratch.kernels.cases import Case
from gpt_from_scratch.kernels.proof.parity import compared
from gpt_from_scratch.kernels.registry import Op, load_ops
from gpt_from_scratch.kernels.requirements import TOOLCHAINS
from gpt_from_scratch.kernels.triton_tools import launch
from gpt_from_scratch.models.layers.embedding import Embedding

INTERPRETED = any(needs.interpreted() for needs in TOOLCHAINS.values())
NO_PART_ALONE = {("attention", "torch"): "SDPA's kernels make all three gradients at once"}
MAKES_AGAIN = {("linear_cross_entropy", "triton"): "none"}
REFUSALS = ("only first derivatives", "not implemented", "double backward", "requires create_graph=False")
"""Words of the errors by which ours, torch and the compiler refuse a second derivative."""
"""Backends whose backward makes the forward's products again, with the reduction for which it does."""


IN_PLACE = {
    torch.ops.aten.addmm_: lambda _, a, b, **__: 2 * a[0] * a[1] * b[1]
}  # a product that the counter does not know


def arguments_of(case: Case) -> dict[str, Any]:
    return case.make(torch.Generator().manual_seed(0), torch.float32)


def elements(case: Case) -> int:
    return sum(x.numel() for x in arguments_of(case).values() if isinstance(x, Tensor))


def combinations(compiled: bool = True) -> Iterator[Any]:
    """Each op and backend on its smallest case with something in it and, where that is cheap, on its largest."""
    for made in load_ops().values():
        whole = [
            case for case in made.declared_cases() if elements(case) > 1 and len(leaves_of(arguments_of(case))) > 1
        ]
        cases = sorted(whole, key=elements)
        small, large = [case for case in cases if not case.large], [case for case in cases if case.large]
        for backend in compared(made) if compiled else [name for name in compared(made) if name != "compiled"]:
            chosen = [small[len(small) // 2]] + ([] if INTERPRETED or backend == "compiled" else [large[-1]])
            marks = [pytest.mark.compile] if backend == "compiled" else []
            for case in chosen:
                yield pytest.param(made, backend, case, id=f"{made.name}-{backend}-{case.name}", marks=marks)


def leaves_of(arguments: dict[str, Any]) -> dict[str, Tensor]:
    return {n: x for n, x in arguments.items() if isinstance(x, Tensor) and x.is_floating_point()}


def outputs_of(made: Op[Any], backend: str, arguments: dict[str, Any]) -> tuple[Tensor, ...]:
    result = made(**arguments, backend=backend)
    return result if isinstance(result, tuple) else (result,)


def second_derivatives(made: Op[Any], backend: str, case: Case, power: int) -> list[Tensor]:
    """Of Σ output^power. With power 1 the gradients that come in are constants."""
    arguments = case.make(torch.Generator().manual_seed(0), torch.float32)
    leaves = {name: x.requires_grad_() for name, x in leaves_of(arguments).items()}
    total = sum(out.pow(power).sum() for out in outputs_of(made, backend, arguments))
    first = torch.autograd.grad(total, list(leaves.values()), create_graph=True)
    again = sum(gradient.square().sum() for gradient in first) + sum(leaf.sum() for leaf in leaves.values())
    return list(torch.autograd.grad(again, list(leaves.values())))


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize(("made", "backend", "case"), list(combinations()))
def test_a_second_derivative_is_right_or_refused(made: Op[Any], backend: str, case: Case, power: int) -> None:
    """Silently wrong otherwise: autograd takes what a kernel has formed for constants."""
    if (reason := made.why_not(backend, "cpu")) is not None:
        pytest.skip(reason if "compiler" in reason else f"no CUDA: {reason}")
    truth = second_derivatives(made, "reference", case, power)
    try:
        found = second_derivatives(made, backend, case, power)
    except RuntimeError as error:
        assert any(word in str(error) for word in REFUSALS)
        return
    for got, exact in zip(found, truth, strict=True):
        torch.testing.assert_close(got, exact, rtol=1e-3, atol=1e-4 * float(exact.abs().max()))


def pass_through(
    made: Op[Any], backend: str, case: Case, frozen: str | None
) -> tuple[dict[str, Tensor], int, list[str]]:
    """(gradients by name, FLOPs, the launches with their constants) of one forward and backward pass.

    The FLOPs are those that each gradient has a part in: a forward pass that backward makes again counts once.
    """
    arguments = case.make(torch.Generator().manual_seed(0), torch.float32)
    leaves = {name: x.requires_grad_() for name, x in leaves_of(arguments).items() if name != frozen}
    launches: list[str] = []
    really = launch.launch

    def noted(kernel: Any, grid: Any, config: Any, *arguments: Any, **constants: Any) -> None:
        launches.append(f"{kernel.__name__} {grid} {constants}")
        really(kernel, grid, config, *arguments, **constants)

    callers = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("gpt_from_scratch.kernels.") and getattr(module, "launch", None) is really
    ]
    with contextlib.ExitStack() as stack:
        for module in callers:
            stack.enter_context(mock.patch.object(module, "launch", noted))
        counter = stack.enter_context(FlopCounterMode(display=False, custom_mapping=IN_PLACE))
        outputs = outputs_of(made, backend, arguments)
        is_made_again = MAKES_AGAIN.get((made.name, backend)) == arguments.get("reduction", "")
        again = counter.get_total_flops() if is_made_again else 0
        ones = [torch.linspace(-1, 1, out.numel()).view(out.shape) if out.ndim else torch.ones(()) for out in outputs]
        gradients = torch.autograd.grad(outputs, list(leaves.values()), ones)
    return dict(zip(leaves, gradients, strict=True)), counter.get_total_flops() - again, launches


@pytest.mark.parametrize(("made", "backend", "case"), list(combinations(compiled=False)))
def test_what_is_frozen_costs_nothing(made: Op[Any], backend: str, case: Case) -> None:
    """At least the products that the reference saves, and kernels are told; the other gradients stay as they are."""
    if (reason := made.why_not(backend, "cpu")) is not None:
        pytest.skip(reason if "compiler" in reason else f"no CUDA: {reason}")
    whole, flops, launches = pass_through(made, backend, case, None)
    _, plain_flops, _ = pass_through(made, "reference", case, None)
    for frozen in whole:
        rest, fewer, others = pass_through(made, backend, case, frozen)
        for name, gradient in rest.items():
            torch.testing.assert_close(gradient, whole[name])
        if flops and (made.name, backend) not in NO_PART_ALONE:
            _, plain_fewer, _ = pass_through(made, "reference", case, frozen)
            assert fewer / flops <= plain_fewer / plain_flops
        shared = any(gradient is not None and gradient.equal(whole[frozen]) for gradient in rest.values())
        if launches and not shared:
            assert others != launches or fewer < flops


def test_an_embedding_that_keeps_its_memory_has_right_second_derivatives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its gradient is linear in what comes in, so a second pass goes through it."""
    tokens, found = torch.tensor([[1, 2, 1]]), []
    for large in (False, True):
        monkeypatch.setattr("gpt_from_scratch.models.layers.embedding.is_large", lambda *_, large=large: large)
        torch.manual_seed(0)
        table = Embedding(5, 4)
        scale = torch.ones((), requires_grad=True)
        (first,) = torch.autograd.grad((table(tokens) * scale).pow(3).sum(), table.weight, create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), [table.weight, scale]))
    for kept, plain in zip(*found, strict=True):
        torch.testing.assert_close(kept, plain)
