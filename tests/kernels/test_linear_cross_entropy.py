"""What the parity rule does not ask of the loss."""

import pytest
import torch

from gpt_from_scratch.kernels.linear_cross_entropy import linear_cross_entropy


@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_a_factor_too_small_for_fp16_keeps_its_digits(backend: str) -> None:
    """One over a batch of millions of tokens is 2^-23 or 2^-24 in fp16, 19 % off; large gradients must not inherit that."""
    factor = 1e-7
    hidden = (torch.randn(300, 8, generator=torch.Generator().manual_seed(0)) * 3e-4).half().requires_grad_()
    weight = (torch.randn(400, 8, generator=torch.Generator().manual_seed(1)) * 1e4).half()
    targets = torch.arange(300)
    loss = linear_cross_entropy(hidden, weight, targets, reduction="sum", backend=backend)
    (gradient,) = torch.autograd.grad(loss * factor, hidden)
    exact = hidden.detach().double().requires_grad_()
    (truth,) = torch.autograd.grad(
        linear_cross_entropy(exact, weight.double(), targets, reduction="sum", backend="reference") * factor, exact
    )
    assert truth.abs().max() > 1e-4
    assert (gradient.double() - truth).norm() < 0.02 * truth.norm()
