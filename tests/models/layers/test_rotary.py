"""The rotation's own backward pass, against the formula's by autograd."""

import pytest
import torch
from torch import Tensor

from gpt_from_scratch.models.layers import rotary as module
from gpt_from_scratch.models.layers.rotary import rotate
from gpt_from_scratch.models.layers.rotary_table import rotary_table

ROTARY = rotary_table(7, 8).double().unsqueeze(1).unsqueeze(1)


def rotated(x: Tensor) -> Tensor:
    return rotate(x, ROTARY.to(x.dtype))


def heads(dtype: torch.dtype = torch.float64) -> Tensor:
    """(b, h, t, d) as the model has them: a part of a packed projection, transposed."""
    packed = torch.randn(2, 7, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return packed.to(dtype).transpose(1, 2)[:, :3]


def test_gradients_are_those_of_finite_differences() -> None:
    x = heads()
    assert torch.autograd.gradcheck(rotated, x.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_formula(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    x, found = heads(dtype).requires_grad_(), []
    for by_formula in (False, True):
        monkeypatch.setattr(module, "_by_formula", lambda x, answer=by_formula: answer)
        y = rotated(x)
        found.append((y.detach(), *torch.autograd.grad((y * y.detach().cos()).sum(), x)))
    for ours, formula in zip(*found, strict=True):
        torch.testing.assert_close(ours, formula)


def test_narrow_activations_are_computed_wide() -> None:
    x = heads(torch.bfloat16)
    assert rotated(x).dtype == torch.bfloat16
    torch.testing.assert_close(rotated(x).double(), rotated(x.double()), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("power", [1, 2])  # with 1 the gradients that come in are constants
def test_a_second_derivative_is_right(power: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def second() -> Tensor:
        x = heads().abs().add(0.1).requires_grad_()
        (first,) = torch.autograd.grad(rotated(x).pow(power).sum(), x, create_graph=True)
        (found,) = torch.autograd.grad(first.square().sum() + x.sum(), x)
        return found

    found = second()
    monkeypatch.setattr(module, "_by_formula", lambda x: True)
    torch.testing.assert_close(found, second())


def test_a_rotation_that_learns_its_angles_has_their_gradient() -> None:
    rotary = ROTARY.clone().requires_grad_()
    assert torch.autograd.gradcheck(rotate, (heads(), rotary))
