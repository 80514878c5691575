"""Large blocks are lent again when nobody holds them any more, and never before."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from gpt_from_scratch.kernels import cpu_speed
from gpt_from_scratch.kernels.cpu_speed import ALIGNMENT, LARGE_BYTES, large_empty

CPU = torch.device("cpu")
N = LARGE_BYTES // 4


@pytest.fixture(autouse=True)
def _no_free_blocks() -> Iterator[None]:
    cpu_speed._free.clear()
    yield
    cpu_speed._free.clear()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64])
def test_a_block_is_lent_again_when_the_last_view_is_gone(dtype: torch.dtype) -> None:
    first = large_empty((4, LARGE_BYTES), dtype, CPU)
    assert first.shape == (4, LARGE_BYTES)
    assert first.is_contiguous()
    assert (first.dtype, first.data_ptr() % ALIGNMENT) == (dtype, 0)
    view, address = first[1:2], first.data_ptr()
    del first
    assert large_empty((4, LARGE_BYTES), dtype, CPU).data_ptr() != address, "the view still holds it"
    cpu_speed._free.clear()
    del view
    assert large_empty((4, LARGE_BYTES), dtype, CPU).data_ptr() == address


def test_a_block_that_is_too_small_or_more_than_twice_as_large_is_not_taken() -> None:
    block = large_empty((2 * N,), torch.float32, CPU)
    address = block.data_ptr()
    del block
    larger, much_smaller = large_empty((2 * N + 99,), torch.float32, CPU), large_empty((N - 1,), torch.float32, CPU)
    assert address not in (larger.data_ptr(), much_smaller.data_ptr())
    a_little_smaller = large_empty((2 * N - 99,), torch.float32, CPU)
    assert a_little_smaller.data_ptr() == address


def test_few_blocks_are_kept() -> None:
    lent = [large_empty((N,), torch.float32, CPU) for _ in range(9)]
    del lent
    assert len(cpu_speed._free) == cpu_speed._free.maxlen


def test_a_small_tensor_is_torchs_own() -> None:
    small = large_empty((N - 1,), torch.float32, CPU)
    del small
    assert not cpu_speed._free


def test_autograd_adds_to_a_large_gradient_in_place() -> None:
    """Else each step would again make a block as large as the weight."""
    weight = nn.Parameter(torch.zeros(N))
    given = []

    class Gives(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
            return x.sum()

        @staticmethod
        def backward(ctx: object, *grads: torch.Tensor) -> torch.Tensor:
            gradient = large_empty((N,), torch.float32, CPU).fill_(1)
            given.append(gradient.data_ptr())
            return gradient

    (Gives.apply(weight) + Gives.apply(weight)).backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert weight.grad.data_ptr() in given
    assert torch.equal(weight.grad, torch.full((N,), 2.0))
