"""The MLP's first half: the registry's op where its parameters say all, the layer itself where they do not."""

import pytest
import torch
from torch import Tensor, nn

from gpt_from_scratch.kernels.choices import use_backend
from gpt_from_scratch.models.config import GPTConfig
from gpt_from_scratch.models.layers.mlp import MLP


class Doubled(nn.Module):
    """What an adapter does: the layer inside, and something on top."""

    def __init__(self, inner: nn.Linear) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = 2 * self.inner(x)
        return out


@pytest.fixture
def mlp(request: pytest.FixtureRequest) -> MLP:
    torch.manual_seed(0)
    return MLP(GPTConfig(n_embd=16, n_head=2, activation=request.param))


both = pytest.mark.parametrize("mlp", ["gelu", "relu2"], indirect=True)


@both
def test_it_is_the_layers_own_arithmetic(mlp: MLP) -> None:
    x = torch.randn(2, 5, 16)
    plain = mlp(x)
    with use_backend("linear_activation=reference"):
        torch.testing.assert_close(mlp(x), plain)
    assert not plain.equal(torch.zeros_like(plain))


@both
def test_an_exchanged_layer_and_a_hook_are_heard(mlp: MLP) -> None:
    x, seen = torch.randn(2, 5, 16), []
    plain = mlp(x)
    handle = mlp.c_fc.register_forward_hook(lambda module, given, out: seen.append(out))
    torch.testing.assert_close(mlp(x), plain)
    assert len(seen) == 1 and seen[0].shape == (2, 5, 64) and bool((seen[0] < 0).any())  # not activated yet
    handle.remove()
    with torch.no_grad():
        mlp.c_fc.weight /= 2
        mlp.c_fc.bias /= 2
    mlp.c_fc = Doubled(mlp.c_fc)  # type: ignore[assignment]
    torch.testing.assert_close(mlp(x), plain)


@both
def test_autocast_gives_what_the_layer_would(mlp: MLP) -> None:
    """The parameters are cast once a region, as nn.Linear's are."""
    x = torch.randn(2, 5, 16).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = mlp(x)
        hidden = mlp.c_fc(x)
        activated = (
            nn.functional.gelu(hidden, approximate="tanh") if mlp.activation == "gelu" else hidden.relu().square()
        )
        assert found.equal(mlp.c_proj(activated))
