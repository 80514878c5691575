"""Properties of the loss that the parity rule does not ask for."""

import pytest
import torch

from gpt_from_scratch.kernels.ops.linear_cross_entropy import linear_cross_entropy, torch_backend
from gpt_from_scratch.kernels.padding import logits, padded_head
from gpt_from_scratch.kernels.proof.parity import check_parity


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


@pytest.mark.parametrize("backend", ["reference", "torch"])
def test_a_graph_that_is_kept_gives_the_same_gradients_again(backend: str) -> None:
    """The first pass may use the memory of what the forward pass formed; the second must not see that."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(300, 8, generator=generator).requires_grad_()
    weight = torch.randn(400, 8, generator=generator).requires_grad_()
    loss = linear_cross_entropy(hidden, weight, torch.arange(300), backend=backend)
    first = torch.autograd.grad(3 * loss, [hidden, weight], retain_graph=True)
    kept = [gradient.clone() for gradient in first]
    second = torch.autograd.grad(2 * loss, [hidden, weight])
    for one, copy, other in zip(first, kept, second, strict=True):
        assert torch.equal(one, copy)
        torch.testing.assert_close(one / 3, other / 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_chunks_add_up(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven chunks of 40 rows and one of 20 give what one of all gives; what the memory held before does not matter."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(300, 8, generator=generator).to(dtype).requires_grad_()
    weight = torch.randn(400, 8, generator=generator).requires_grad_()
    found = []
    for chunk_logits in (300 * 400, 40 * 400):
        monkeypatch.setattr(torch_backend, "CHUNK_LOGITS", chunk_logits)
        monkeypatch.setattr(
            torch_backend, "large_empty", lambda shape, dtype, device: torch.full(tuple(shape), torch.nan, dtype=dtype)
        )
        loss = linear_cross_entropy(hidden, weight, torch.arange(300), backend="torch")
        found.append((loss.detach(), *torch.autograd.grad(loss, [hidden, weight])))
    for one, many in zip(*found, strict=True):
        assert torch.isfinite(one).all()
        # Each chunk's product rounds to bf16 by itself; the largest gradient is the measure.
        tolerance = 1e-5 if dtype == torch.float32 else 1e-2 * float(one.abs().max())
        torch.testing.assert_close(one, many, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_padded_vocabulary_changes_nothing(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the backend does on a GPU, on the CPU."""
    monkeypatch.setattr(torch_backend, "_head", padded_head)
    for case in linear_cross_entropy.cases():
        check_parity(linear_cross_entropy, "torch", case, dtype, "cpu")
    head = padded_head(torch.ones(130, 8), dtype)
    assert head.shape == (192, 8) and head[:130].eq(1).all() and head[130:].eq(0).all()
    whole = torch.ones(128, 8, dtype=dtype)
    assert padded_head(whole, dtype) is whole


def test_logits_of_many_rows_on_a_gpu_come_from_a_padded_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same logits and gradients, without the added columns."""
    generator = torch.Generator().manual_seed(0)
    leaves = [torch.randn(*shape, generator=generator).requires_grad_() for shape in ((3, 50, 8), (67, 8))]
    upstream, found = torch.randn(3, 50, 67, generator=generator), []
    for on_gpu in (False, True):
        monkeypatch.setattr(torch.Tensor, "is_cuda", on_gpu)
        result = logits(*leaves)
        found.append([result.detach(), *torch.autograd.grad(result, leaves, upstream)])
        assert result.stride(-2) == (128 if on_gpu else 67)
    for plain, padded in zip(*found, strict=True):
        torch.testing.assert_close(plain, padded)
