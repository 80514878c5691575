"""The embedding that keeps its gradient's memory gives what nn.Embedding gives."""

import torch
from torch import nn

from gpt_from_scratch.kernels.cpu_speed import LARGE_BYTES, is_large
from gpt_from_scratch.models.layers.embedding import Embedding


def test_a_large_one_has_the_values_and_gradients_of_torchs() -> None:
    ours, theirs = Embedding(LARGE_BYTES // 256, 64), nn.Embedding(LARGE_BYTES // 256, 64)
    assert is_large(ours.weight.nbytes, ours.weight.device)
    theirs.load_state_dict(ours.state_dict())
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):  # the second gradient lies where the first one was
        tokens = torch.randint(9, (3, 40), generator=generator)  # some of them often
        upstream = torch.randn(3, 40, 64, generator=generator)
        for module in (ours, theirs):
            module.weight.grad = None
            (module(tokens) * upstream).sum().backward()
        assert torch.equal(ours(tokens), theirs(tokens))
        assert ours.weight.grad is not None and theirs.weight.grad is not None
        torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)


def test_on_the_meta_device_it_has_no_values() -> None:
    with torch.device("meta"):
        assert Embedding(10, 4).weight.is_meta
