"""Each function's own backward pass, against the formula's by autograd."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from gpt_from_scratch.models.layers import rotary_relu2 as pointwise
from gpt_from_scratch.models.layers.rotary_relu2 import relu_squared, rotate
from gpt_from_scratch.models.layers.rotary_table import rotary_table

ROTARY = rotary_table(7, 8).double().unsqueeze(1).unsqueeze(1)
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu_squared": relu_squared,
    "rotate": lambda x: rotate(x, ROTARY.to(x.dtype)),
}


def heads(dtype: torch.dtype = torch.float64) -> Tensor:
    """(b, h, t, d) as the model has them: a part of a packed projection, transposed."""
    packed = torch.randn(2, 7, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    packed[0, 0, 0] = 0  # a zero vector has no direction
    return packed.to(dtype).transpose(1, 2)[:, :3]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    x = heads()
    x[x.abs() < 1e-3] = 0.5  # away from the edge of relu and from the norm's origin
    assert torch.autograd.gradcheck(FUNCTIONS[name], x.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_is_the_formula(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    x, found = heads(dtype).requires_grad_(), []
    for by_formula in (False, True):
        monkeypatch.setattr(pointwise, "_by_formula", lambda x, answer=by_formula: answer)
        y = FUNCTIONS[name](x)
        found.append((y.detach(), *torch.autograd.grad((y * y.detach().cos()).sum(), x)))
    for ours, formula in zip(*found, strict=True):
        torch.testing.assert_close(ours, formula)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_narrow_activations_are_computed_wide(name: str) -> None:
    x = heads(torch.bfloat16)
    assert FUNCTIONS[name](x).dtype == torch.bfloat16
    torch.testing.assert_close(FUNCTIONS[name](x).double(), FUNCTIONS[name](x.double()), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("power", [1, 2])  # with 1 the gradients that come in are constants
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_second_derivative_is_right_or_refused(name: str, power: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def second() -> Tensor:
        x = heads().abs().add(0.1).requires_grad_()
        (first,) = torch.autograd.grad(FUNCTIONS[name](x).pow(power).sum(), x, create_graph=True)
        (found,) = torch.autograd.grad(first.square().sum() + x.sum(), x)
        return found

    try:
        found = second()
    except RuntimeError as error:
        assert "has first derivatives only" in str(error)
        assert name != "rotate"
        return
    monkeypatch.setattr(pointwise, "_by_formula", lambda x: True)
    torch.testing.assert_close(found, second())


def test_a_rotation_that_learns_its_angles_has_their_gradient() -> None:
    rotary = ROTARY.clone().requires_grad_()
    assert torch.autograd.gradcheck(rotate, (heads(), rotary))
